//! What the roof configures.

use std::str::FromStr;

use domicile_kernel::RegionId;
use domicile_region::Directory;
use domicile_zoom::api::passthrough::CallRules;
use thiserror::Error;
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
    /// What to do with a user whose home cluster Zoom does not name.
    pub unknown_cluster: UnknownCluster,
    /// Which Zoom accounts may link here.
    pub admission: Admission,
    /// All regions, to point a user to her own; empty where there is no directory.
    pub directory: Directory,
    /// The calls of Zoom's API that the app may make through us.
    pub zoom_calls: CallRules,
}

/// What to do with a user whose token answer names the global host or a vanity host, which say nothing of a home cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownCluster {
    /// She may link.
    Allow,
    /// She may not.
    Refuse,
}

/// Which Zoom accounts may link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Every one.
    Open,
    /// Those that an operator or the app admitted beforehand.
    Accounts,
}

/// A word that a setting does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be {0}")]
pub struct InvalidChoice(&'static str);

impl FromStr for UnknownCluster {
    type Err = InvalidChoice;

    fn from_str(text: &str) -> Result<Self, InvalidChoice> {
        match text {
            "allow" => Ok(Self::Allow),
            "refuse" => Ok(Self::Refuse),
            _ => Err(InvalidChoice("allow or refuse")),
        }
    }
}

impl FromStr for Admission {
    type Err = InvalidChoice;

    fn from_str(text: &str) -> Result<Self, InvalidChoice> {
        match text {
            "open" => Ok(Self::Open),
            "accounts" => Ok(Self::Accounts),
            _ => Err(InvalidChoice("open or accounts")),
        }
    }
}

/// The URL prefixes to which browsers may return, compared as parsed URLs.
#[derive(Debug, Clone)]
pub struct ReturnUrls(Vec<Url>);

impl ReturnUrls {
    /// Takes the prefixes in. A prefix covers its own path and everything below it.
    pub fn new(prefixes: Vec<Url>) -> Self {
        Self(prefixes)
    }

    /// The prefixes.
    pub fn prefixes(&self) -> &[Url] {
        &self.0
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
