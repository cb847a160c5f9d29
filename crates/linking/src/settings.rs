//! What the roof configures.

use domicile_kernel::RegionId;
use domicile_zoom::api::passthrough::CallRules;
use url::Url;

/// The region as linking sees it.
#[derive(Debug, Clone)]
pub struct LinkingSettings {
    /// The region's id, kept in every ticket.
    pub region_id: RegionId,
    /// The region's public URL, under which browsers and Zoom reach it.
    pub public_url: Url,
    /// The app's own page where a signed-in user begins.
    pub start_url: Url,
    /// Below these a connect session may return.
    pub return_urls: ReturnUrls,
    /// Zoom home clusters whose users may link here.
    pub clusters: Vec<String>,
    /// The calls of Zoom's API that the app may make through us.
    pub zoom_calls: CallRules,
}

/// The URL prefixes to which browsers may return, compared as parsed URLs.
#[derive(Debug, Clone)]
pub struct ReturnUrls(Vec<Url>);

impl ReturnUrls {
    /// Takes the prefixes in. A prefix covers its own path and everything below it.
    pub fn new(prefixes: Vec<Url>) -> Self {
        Self(prefixes)
    }

    /// True when the URL has the scheme, host and port of a prefix and lies at or below its path.
    pub fn allow(&self, url: &Url) -> bool {
        url.username().is_empty()
            && url.password().is_none()
            && self
                .0
                .iter()
                .any(|prefix| prefix.origin() == url.origin() && covers(prefix.path(), url.path()))
    }
}

fn covers(prefix: &str, path: &str) -> bool {
    // An encoded slash or dot is taken apart differently by different servers.
    let lower = path.to_ascii_lowercase();
    if lower.contains("%2f") || lower.contains("%2e") || lower.contains("%5c") {
        return false;
    }
    match path.strip_prefix(prefix) {
        Some(rest) => prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allowed(prefix: &str, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        ReturnUrls::new(vec![Url::parse(prefix).unwrap()]).allow(&url)
    }

    #[test]
    fn a_prefix_covers_its_own_path_and_what_is_below() {
        let prefix = "https://app.example/settings";
        for url in [
            "https://app.example/settings",
            "https://app.example/settings?a=b",
            "https://app.example/settings/x",
        ] {
            assert!(allowed(prefix, url), "{url}");
        }
    }

    #[test]
    fn lookalikes_are_not_covered() {
        let prefix = "https://app.example/settings";
        for url in [
            "https://app.example/settingsx",
            "https://app.example.evil/settings",
            "https://app.example@evil/settings",
            "https://user@app.example/settings",
            "http://app.example/settings",
            "https://app.example:8443/settings",
            "https://app.example/settings/../admin",
            "https://app.example/settings/%2e%2e/admin",
            "https://app.example/settings/..%2fadmin",
            "https://app.example/settings/..%5cadmin",
            "//app.example/settings",
            "javascript:alert(1)",
        ] {
            assert!(!allowed(prefix, url), "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_other_origin_is_ever_allowed(host in "[a-z]{1,12}(\\.[a-z]{2,5})?", path in "[a-z/.%0-9@:]{0,20}") {
            let url = format!("https://{host}/{path}");
            prop_assume!(host != "app.example");
            prop_assert!(!allowed("https://app.example/", &url));
        }
    }
}
