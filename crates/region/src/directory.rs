//! The public list of regions.

use domicile_kernel::RegionId;
use serde::Deserialize;
use url::{Host, Url};

use crate::finding::{Finding, Findings};
use crate::rule::Rule;

/// The public list of regions. Every region may have the same file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    regions: Vec<DirectoryEntry>,
}

/// One region, as others may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Such as `eu`.
    pub id: RegionId,
    /// Its name for people, such as `European Union`.
    pub name: String,
    /// The page where a customer of that region begins.
    pub install_url: Url,
    /// Zoom home clusters whose users belong there, such as `eu`.
    pub zoom_clusters: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDirectory {
    regions: Vec<WireEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEntry {
    id: String,
    name: String,
    install_url: String,
    zoom_clusters: Vec<String>,
}

impl Directory {
    /// Reads the YAML file, or says everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Findings> {
        let wire: WireDirectory = serde_saphyr::from_str(text).map_err(|error| {
            let mut finding = Finding::new(
                Rule::Directory,
                "",
                format!("it cannot be read: {}", error.without_snippet()),
                "write `regions:` as a list of id, name, install_url and zoom_clusters",
            );
            finding.line = error.location().and_then(|at| u32::try_from(at.line()).ok());
            Findings(vec![finding])
        })?;
        let mut findings = Vec::new();
        let regions: Vec<_> = wire
            .regions
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| read(index, entry, &mut findings))
            .collect();
        if wire.regions.is_empty() {
            findings.push(Finding::new(
                Rule::Directory,
                "regions",
                "it lists no region",
                "list every region, this one too",
            ));
        }
        findings.extend(shared(&regions));
        if findings.is_empty() {
            Ok(Self { regions })
        } else {
            Err(Findings(findings))
        }
    }

    /// The regions in the order of the file.
    pub fn regions(&self) -> &[DirectoryEntry] {
        &self.regions
    }

    /// The entry with this id.
    pub fn region(&self, id: &RegionId) -> Option<&DirectoryEntry> {
        self.regions.iter().find(|entry| entry.id == *id)
    }

    /// The region to which users of this home cluster belong.
    pub fn of_cluster(&self, cluster: &str) -> Option<&DirectoryEntry> {
        self.regions
            .iter()
            .find(|entry| entry.zoom_clusters.iter().any(|theirs| theirs == cluster))
    }
}

fn read(index: usize, entry: &WireEntry, findings: &mut Vec<Finding>) -> Option<DirectoryEntry> {
    let before = findings.len();
    let mut find = |field: &str, reason: String, remedy: &'static str| {
        let path = format!("regions[{index}].{field}");
        findings.push(Finding::new(Rule::Directory, path, reason, remedy));
    };
    let id = entry.id.parse::<RegionId>();
    if let Err(error) = &id {
        find("id", error.to_string(), "write an id such as eu");
    }
    let name = entry.name.trim();
    if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
        find(
            "name",
            "it is no name".to_owned(),
            "write 1 to 100 characters for people, such as European Union",
        );
    }
    let install_url = Url::parse(&entry.install_url).ok().filter(is_safe);
    if install_url.is_none() {
        find(
            "install_url",
            "it is no https URL of a page".to_owned(),
            "write such as https://zoom.eu.example.com/install",
        );
    }
    if entry.zoom_clusters.is_empty() || !entry.zoom_clusters.iter().all(|cluster| is_cluster(cluster)) {
        find(
            "zoom_clusters",
            "it is no list of Zoom's home clusters".to_owned(),
            "write the letters of their API hosts, such as [eu]",
        );
    }
    if findings.len() > before {
        return None;
    }
    Some(DirectoryEntry {
        id: id.ok()?,
        name: name.to_owned(),
        install_url: install_url?,
        zoom_clusters: entry.zoom_clusters.clone(),
    })
}

/// The browser goes there from our page: https, or http on a loopback host for development, and nothing hidden in it.
fn is_safe(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    scheme && url.username().is_empty() && url.password().is_none()
}

fn is_cluster(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase())
}

/// What two regions may not share.
fn shared(regions: &[DirectoryEntry]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, one) in regions.iter().enumerate() {
        for other in regions.iter().take(index) {
            let mut find = |field: &str, what: &str, remedy: &'static str| {
                let path = format!("regions[{index}].{field}");
                let reason = format!("the region {} has {what} too", other.id);
                findings.push(Finding::new(Rule::Directory, path, reason, remedy));
            };
            if one.id == other.id {
                find("id", "this id", "give each region an id of its own");
            }
            if one.install_url.host() == other.install_url.host()
                && one.install_url.port_or_known_default() == other.install_url.port_or_known_default()
            {
                find("install_url", "this host", "give each region a host of its own");
            }
            if one
                .zoom_clusters
                .iter()
                .any(|cluster| other.zoom_clusters.contains(cluster))
            {
                find("zoom_clusters", "one of these clusters", "list each cluster once");
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "
regions:
  - id: eu
    name: European Union
    install_url: https://zoom.eu.example.com/install
    zoom_clusters: [eu]
  - id: us
    name: United States
    install_url: https://zoom.us.example.com/install
    zoom_clusters: [us, ca]
";

    fn faults(text: &str) -> Vec<String> {
        let Findings(findings) = Directory::parse(text).unwrap_err();
        findings.into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn a_user_is_pointed_to_the_region_of_his_cluster() {
        let directory = Directory::parse(GOOD).unwrap();
        assert_eq!(directory.of_cluster("ca").unwrap().id.as_str(), "us");
        assert_eq!(directory.of_cluster("jp"), None);
        assert_eq!(
            directory.region(&"eu".parse().unwrap()).unwrap().name,
            "European Union"
        );
    }

    #[test]
    fn every_fault_is_found_at_once_and_says_where() {
        let bad = GOOD
            .replace("id: eu", "id: EU")
            .replace("https://zoom.us", "javascript:alert(1)//zoom.us")
            .replace("[us, ca]", "[US]");
        assert_eq!(
            faults(&bad),
            [
                "regions[0].id",
                "regions[1].install_url",
                "regions[1].zoom_clusters"
            ]
        );
    }

    #[test]
    fn regions_share_neither_id_nor_host_nor_cluster() {
        let same = GOOD
            .replace("id: us", "id: eu")
            .replace("zoom.us.example", "zoom.eu.example")
            .replace("[us, ca]", "[ca, eu]");
        assert_eq!(
            faults(&same),
            [
                "regions[1].id",
                "regions[1].install_url",
                "regions[1].zoom_clusters"
            ]
        );
    }

    #[test]
    fn unknown_members_and_empty_lists_are_faults() {
        assert_eq!(faults("regions: []"), ["regions"]);
        assert_eq!(faults(&GOOD.replace("name: United", "nam: United")), [""]);
        assert_eq!(faults("- eu"), [""]);
    }

    #[test]
    fn plain_http_is_for_loopback_hosts_alone() {
        for (url, good) in [
            ("http://127.0.0.1:8500/install", true),
            ("http://localhost:8500/", true),
            ("http://zoom.us.example.com/", false),
            ("https://user:pass@zoom.us.example.com/", false),
            ("ftp://zoom.us.example.com/", false),
        ] {
            let text = GOOD.replace("https://zoom.us.example.com/install", url);
            assert_eq!(Directory::parse(&text).is_ok(), good, "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_and_what_parses_is_safe_to_link(text in "\\PC{0,200}", url in "\\PC{0,40}") {
            let _ = Directory::parse(&text);
            let quoted = format!("'{}'", url.replace('\'', "''"));
            if let Ok(directory) = Directory::parse(&GOOD.replace("https://zoom.us.example.com/install", &quoted)) {
                for region in directory.regions() {
                    prop_assert!(matches!(region.install_url.scheme(), "http" | "https"));
                }
            }
        }
    }
}
