//! In which country a cloud's region lies, by its name, and which countries a jurisdiction is.

/// A cloud's region that a text names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Whose.
    pub(crate) cloud: &'static str,
    /// Its name, as the cloud writes it.
    pub(crate) name: &'static str,
    /// The country's two letters.
    pub(crate) country: &'static str,
}

const AWS: &[(&str, &str)] = &[
    ("us-east-1", "us"),
    ("us-east-2", "us"),
    ("us-west-1", "us"),
    ("us-west-2", "us"),
    ("us-gov-east-1", "us"),
    ("us-gov-west-1", "us"),
    ("ca-central-1", "ca"),
    ("ca-west-1", "ca"),
    ("mx-central-1", "mx"),
    ("sa-east-1", "br"),
    ("eu-central-1", "de"),
    ("eu-central-2", "ch"),
    ("eu-west-1", "ie"),
    ("eu-west-2", "uk"),
    ("eu-west-3", "fr"),
    ("eu-north-1", "se"),
    ("eu-south-1", "it"),
    ("eu-south-2", "es"),
    ("eusc-de-east-1", "de"),
    ("af-south-1", "za"),
    ("il-central-1", "il"),
    ("me-central-1", "ae"),
    ("me-south-1", "bh"),
    ("ap-east-1", "hk"),
    ("ap-east-2", "tw"),
    ("ap-south-1", "in"),
    ("ap-south-2", "in"),
    ("ap-southeast-1", "sg"),
    ("ap-southeast-2", "au"),
    ("ap-southeast-3", "id"),
    ("ap-southeast-4", "au"),
    ("ap-southeast-5", "my"),
    ("ap-southeast-6", "nz"),
    ("ap-southeast-7", "th"),
    ("ap-northeast-1", "jp"),
    ("ap-northeast-2", "kr"),
    ("ap-northeast-3", "jp"),
    ("cn-north-1", "cn"),
    ("cn-northwest-1", "cn"),
];

const GCP: &[(&str, &str)] = &[
    ("us-central1", "us"),
    ("us-east1", "us"),
    ("us-east4", "us"),
    ("us-east5", "us"),
    ("us-south1", "us"),
    ("us-west1", "us"),
    ("us-west2", "us"),
    ("us-west3", "us"),
    ("us-west4", "us"),
    ("northamerica-northeast1", "ca"),
    ("northamerica-northeast2", "ca"),
    ("northamerica-south1", "mx"),
    ("southamerica-east1", "br"),
    ("southamerica-west1", "cl"),
    ("europe-central2", "pl"),
    ("europe-north1", "fi"),
    ("europe-north2", "se"),
    ("europe-southwest1", "es"),
    ("europe-west1", "be"),
    ("europe-west2", "uk"),
    ("europe-west3", "de"),
    ("europe-west4", "nl"),
    ("europe-west6", "ch"),
    ("europe-west8", "it"),
    ("europe-west9", "fr"),
    ("europe-west10", "de"),
    ("europe-west12", "it"),
    ("me-central1", "qa"),
    ("me-central2", "sa"),
    ("me-west1", "il"),
    ("africa-south1", "za"),
    ("asia-east1", "tw"),
    ("asia-east2", "hk"),
    ("asia-northeast1", "jp"),
    ("asia-northeast2", "jp"),
    ("asia-northeast3", "kr"),
    ("asia-south1", "in"),
    ("asia-south2", "in"),
    ("asia-southeast1", "sg"),
    ("asia-southeast2", "id"),
    ("australia-southeast1", "au"),
    ("australia-southeast2", "au"),
];

const AZURE: &[(&str, &str)] = &[
    ("eastus", "us"),
    ("eastus2", "us"),
    ("centralus", "us"),
    ("northcentralus", "us"),
    ("southcentralus", "us"),
    ("westcentralus", "us"),
    ("westus", "us"),
    ("westus2", "us"),
    ("westus3", "us"),
    ("usgovvirginia", "us"),
    ("usgovarizona", "us"),
    ("usgovtexas", "us"),
    ("canadacentral", "ca"),
    ("canadaeast", "ca"),
    ("mexicocentral", "mx"),
    ("brazilsouth", "br"),
    ("brazilsoutheast", "br"),
    ("chilecentral", "cl"),
    ("northeurope", "ie"),
    ("westeurope", "nl"),
    ("francecentral", "fr"),
    ("francesouth", "fr"),
    ("germanywestcentral", "de"),
    ("germanynorth", "de"),
    ("italynorth", "it"),
    ("norwayeast", "no"),
    ("norwaywest", "no"),
    ("polandcentral", "pl"),
    ("spaincentral", "es"),
    ("swedencentral", "se"),
    ("swedensouth", "se"),
    ("austriaeast", "at"),
    ("belgiumcentral", "be"),
    ("denmarkeast", "dk"),
    ("switzerlandnorth", "ch"),
    ("switzerlandwest", "ch"),
    ("uksouth", "uk"),
    ("ukwest", "uk"),
    ("israelcentral", "il"),
    ("qatarcentral", "qa"),
    ("uaenorth", "ae"),
    ("uaecentral", "ae"),
    ("southafricanorth", "za"),
    ("southafricawest", "za"),
    ("australiaeast", "au"),
    ("australiasoutheast", "au"),
    ("australiacentral", "au"),
    ("australiacentral2", "au"),
    ("eastasia", "hk"),
    ("southeastasia", "sg"),
    ("centralindia", "in"),
    ("southindia", "in"),
    ("westindia", "in"),
    ("jioindiawest", "in"),
    ("jioindiacentral", "in"),
    ("indonesiacentral", "id"),
    ("malaysiawest", "my"),
    ("japaneast", "jp"),
    ("japanwest", "jp"),
    ("koreacentral", "kr"),
    ("koreasouth", "kr"),
    ("newzealandnorth", "nz"),
    ("chinaeast", "cn"),
    ("chinaeast2", "cn"),
    ("chinanorth", "cn"),
    ("chinanorth2", "cn"),
    ("chinanorth3", "cn"),
];

const CLOUDS: &[(&str, &[(&str, &str)])] = &[("AWS", AWS), ("Google Cloud", GCP), ("Azure", AZURE)];

/// The members of the European Union.
const EU: &str = "at be bg cy cz de dk ee es fi fr gr hr hu ie it lt lu lv mt nl pl pt ro se si sk";

/// All countries of ISO 3166-1, with `uk` as people write `gb`.
const COUNTRIES: &str = "ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq br bs bt \
     bv bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg eh er es et fi fj fk fm \
     fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo \
     jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo mp mq mr ms mt \
     mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa \
     sb sc sd se sg sh si sj sk sl sm sn so sr ss st sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk um \
     us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw";

/// Whether this is a jurisdiction at all.
pub(crate) fn is_jurisdiction(text: &str) -> bool {
    text == "eu" || COUNTRIES.split_whitespace().any(|country| country == text)
}

/// Whether what lies in this country is under this jurisdiction.
pub(crate) fn covers(jurisdiction: &str, country: &str) -> bool {
    let same = |a: &str| if a == "gb" { "uk".to_owned() } else { a.to_owned() };
    same(jurisdiction) == same(country)
        || (jurisdiction == "eu" && EU.split_whitespace().any(|member| member == country))
}

/// Every region of a cloud that the text names as a word of its own, and what Amazon's addresses without one mean.
pub(crate) fn named(text: &str) -> Vec<Place> {
    let text = text.to_ascii_lowercase();
    let mut places: Vec<Place> = CLOUDS
        .iter()
        .flat_map(|(cloud, regions)| {
            regions
                .iter()
                .map(move |(name, country)| (*cloud, *name, *country))
        })
        .filter(|(_, name, _)| names(&text, name))
        .map(|(cloud, name, country)| Place { cloud, name, country })
        .collect();
    if places.is_empty() && is_global_amazon(&text) {
        places.push(Place {
            cloud: "AWS",
            name: "us-east-1",
            country: "us",
        });
    }
    places
}

/// Amazon's addresses without a region's name are those of us-east-1.
fn is_global_amazon(host: &str) -> bool {
    ["s3.amazonaws.com", "sts.amazonaws.com"]
        .iter()
        .any(|global| host == *global || host.ends_with(&format!(".{global}")))
}

fn names(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default();
        let after = text.get(at + name.len()..).unwrap_or_default();
        !before.ends_with(|it: char| it.is_ascii_alphanumeric()) && !continues(name, after)
    })
}

/// A digit or a word continues the name; one letter after a number is a zone of the region.
fn continues(name: &str, after: &str) -> bool {
    let numbered = name.ends_with(|it: char| it.is_ascii_digit());
    let mut rest = after.chars().take_while(char::is_ascii_alphanumeric);
    match (rest.next(), rest.next()) {
        (Some(first), None) if numbered => !('a'..='f').contains(&first),
        (first, _) => first.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn countries(text: &str) -> Vec<&'static str> {
        named(text).iter().map(|place| place.country).collect()
    }

    #[test]
    fn names_are_found_as_words_of_their_own() {
        for (text, country) in [
            ("s3.eu-west-2.amazonaws.com", "uk"),
            ("bucket.s3-us-west-2.amazonaws.com", "us"),
            ("arn:aws:kms:eu-central-1:111122223333:key/1", "de"),
            ("db.eu-central-1a.rds.amazonaws.com", "de"),
            ("europe-west10-a.example.com", "de"),
            ("otlp.europe-west1.run.app", "be"),
            ("otlp-westeurope-1.example.com", "nl"),
            ("vm.eastus2.cloudapp.azure.com", "us"),
            ("s3.amazonaws.com", "us"),
            ("recordings.s3.amazonaws.com", "us"),
        ] {
            assert_eq!(countries(text), [country], "{text}");
        }
        for text in [
            "zoom.eu.example.com",
            "eastusa.example.com",
            "us-east-12.example.com",
            "notwesteurope.example.com",
            "westeuropean.example.com",
        ] {
            assert!(countries(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn jurisdictions_cover_their_countries() {
        assert!(covers("eu", "de") && covers("eu", "ie") && !covers("eu", "uk") && !covers("eu", "ch"));
        assert!(covers("uk", "uk") && covers("gb", "uk") && !covers("us", "uk"));
        assert!(covers("de", "de") && !covers("de", "fr"));
        assert!(is_jurisdiction("eu") && is_jurisdiction("uk") && !is_jurisdiction("zz"));
    }

    #[test]
    fn every_region_is_in_a_country_and_listed_once() {
        let all: Vec<_> = CLOUDS.iter().flat_map(|(_, regions)| regions.iter()).collect();
        for (name, country) in &all {
            assert!(is_jurisdiction(country), "{name}");
            assert_eq!(all.iter().filter(|(other, _)| other == name).count(), 1, "{name}");
            assert_eq!(countries(name), [*country], "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_found_whatever_stands_around_it(
            before in "([a-z]{1,8}[.-])?",
            after in "([.-][a-z]{2,8})?",
            pick in 0usize..1000,
        ) {
            let all: Vec<_> = CLOUDS.iter().flat_map(|(_, regions)| regions.iter()).collect();
            let (name, country) = all[pick % all.len()];
            let text = format!("{before}{name}{after}");
            prop_assert!(countries(&text).contains(country), "{text}");
        }
    }
}
