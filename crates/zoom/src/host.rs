//! Which hosts may be Zoom's, and which cluster an API host stands for (Zoom: regional cluster API URLs).

use std::fmt;
use std::str::FromStr;

use domicile_egress::HostRule;
use thiserror::Error;
use url::Url;

/// The hosts that downloads and `api_url` may use: `zoom.us` and all below it, as the setting says.
#[derive(Debug, Clone)]
pub struct ZoomHosts {
    rules: Vec<HostRule>,
}

/// An entry of the setting that is no host name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no host name; write names such as zoom.us, separated by commas")]
pub struct InvalidHost(pub String);

/// Why an `api_url` is not followed. The URL itself is not shown, since anybody may have written it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ApiUrlError {
    /// It cannot be read as a URL with a host.
    #[error("the api_url is not a URL")]
    NotAUrl,
    /// It would send tokens in clear.
    #[error("the api_url is not https")]
    NotHttps,
    /// Zoom's API is on the ordinary port.
    #[error("the api_url names a port")]
    Port,
    /// It holds more than scheme and host.
    #[error("the api_url holds more than a host")]
    MoreThanHost,
    /// The host is not below any allowed domain.
    #[error("the api_url's host is not one of the allowed Zoom hosts")]
    HostNotAllowed,
}

impl ZoomHosts {
    /// Takes the rules in. What each of them matches is https, except on a loopback host.
    pub fn new(rules: Vec<HostRule>) -> Self {
        Self { rules }
    }

    /// The rules, for the fence and for guarded downloads.
    pub fn rules(&self) -> &[HostRule] {
        &self.rules
    }

    /// True when a request, with a credential in it, may go to this URL.
    pub fn allows(&self, url: &Url) -> bool {
        url.username().is_empty()
            && url.password().is_none()
            && self.rules.iter().any(|rule| rule.matches(url))
    }

    /// Checks the `api_url` of a token answer, or the one of the settings: https, an allowed host, no port and no path.
    /// Only where a rule names a loopback host may it be http and have a port.
    pub fn validate_api_url(&self, text: &str) -> Result<ApiBase, ApiUrlError> {
        let url = Url::parse(text).map_err(|_| ApiUrlError::NotAUrl)?;
        let host = url.host_str().ok_or(ApiUrlError::NotAUrl)?;
        let bare = matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !bare {
            return Err(ApiUrlError::MoreThanHost);
        }
        let loopback = self
            .rules
            .iter()
            .any(|rule| is_loopback(rule) && rule.matches(&url));
        if !loopback {
            if url.scheme() != "https" {
                return Err(ApiUrlError::NotHttps);
            }
            if url.port().is_some() {
                return Err(ApiUrlError::Port);
            }
            if !self.allows(&url) {
                return Err(ApiUrlError::HostNotAllowed);
            }
        }
        let cluster = self.cluster(host);
        Ok(ApiBase { url, cluster })
    }

    fn cluster(&self, host: &str) -> Option<String> {
        let (label, domain) = host.split_once('.')?;
        let below_a_rule = domain == "localhost"
            || self
                .rules
                .iter()
                .any(|rule| matches!(rule, HostRule::Suffix { domain: suffix } if suffix == domain));
        below_a_rule.then(|| cluster_of_label(label)).flatten()
    }
}

impl FromStr for ZoomHosts {
    type Err = InvalidHost;

    /// Reads the setting: domains, separated by commas, each of which allows itself and all hosts below it;
    /// a loopback host allows itself, on any port, with http.
    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let rules = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(|entry| HostRule::parse_suffix(entry).map_err(|_| InvalidHost(entry.to_owned())))
            .collect::<Result<Vec<_>, _>>()?;
        if rules.is_empty() {
            return Err(InvalidHost(text.to_owned()));
        }
        Ok(Self { rules })
    }
}

fn is_loopback(rule: &HostRule) -> bool {
    matches!(rule, HostRule::Loopback { .. })
}

// `api-eu` is the present form, `eu01api` an earlier one that may sit in old rows; `api` is the global host.
fn cluster_of_label(label: &str) -> Option<String> {
    let name = match label.strip_prefix("api-") {
        Some(name) => name,
        None => label
            .strip_suffix("api")?
            .trim_end_matches(|c: char| c.is_ascii_digit()),
    };
    (!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase())).then(|| name.to_owned())
}

/// The base of the API for one grant: a checked scheme and host. Made by [`ZoomHosts::validate_api_url`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiBase {
    url: Url,
    cluster: Option<String>,
}

impl ApiBase {
    /// Scheme and host, as Zoom's `api_url` writes them; `validate_api_url` reads it back.
    pub fn as_str(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// The home cluster that the host names: `eu` for `api-eu.zoom.us`, nothing for the global host and vanity hosts.
    pub fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// The URL itself.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for ApiBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The home cluster that an API base names; see [`ApiBase::cluster`].
pub fn cluster_of(base: &ApiBase) -> Option<String> {
    base.cluster.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hosts(setting: &str) -> ZoomHosts {
        setting.parse().unwrap()
    }

    #[test]
    fn the_cluster_is_read_from_the_host() {
        let hosts = hosts("zoom.us,zoomgov.com");
        for (url, cluster) in [
            ("https://api.zoom.us", None),
            ("https://api-eu.zoom.us", Some("eu")),
            ("https://api-uk.zoom.us/", Some("uk")),
            ("https://API-EU.zoom.us", Some("eu")),
            ("https://eu01api.zoom.us", Some("eu")),
            ("https://acme.zoom.us", None),
            ("https://zoom.us", None),
            ("https://api.zoomgov.com", None),
            // A vanity host below which anything may stand names no cluster.
            ("https://api-eu.acme.zoom.us", None),
        ] {
            let base = hosts.validate_api_url(url).unwrap();
            assert_eq!(base.cluster(), cluster, "{url}");
            assert_eq!(cluster_of(&base).as_deref(), cluster);
            assert_eq!(hosts.validate_api_url(base.as_str()), Ok(base.clone()));
        }
    }

    #[test]
    fn every_other_api_url_is_refused_with_its_reason() {
        let hosts = hosts("zoom.us");
        for (url, reason) in [
            ("", ApiUrlError::NotAUrl),
            ("api.zoom.us", ApiUrlError::NotAUrl),
            ("mailto:a@zoom.us", ApiUrlError::NotAUrl),
            ("http://api.zoom.us", ApiUrlError::NotHttps),
            ("ftp://api.zoom.us", ApiUrlError::NotHttps),
            ("https://api.zoom.us:8443", ApiUrlError::Port),
            ("https://api.zoom.us/v2", ApiUrlError::MoreThanHost),
            ("https://api.zoom.us?x", ApiUrlError::MoreThanHost),
            ("https://api.zoom.us#x", ApiUrlError::MoreThanHost),
            ("https://user@api.zoom.us", ApiUrlError::MoreThanHost),
            ("https://api.zoom.us@evil.example", ApiUrlError::MoreThanHost),
            ("https://evilzoom.us", ApiUrlError::HostNotAllowed),
            ("https://zoom.us.evil.example", ApiUrlError::HostNotAllowed),
            ("https://api.zoomgov.com", ApiUrlError::HostNotAllowed),
            ("https://127.0.0.1", ApiUrlError::HostNotAllowed),
            ("https://localhost", ApiUrlError::HostNotAllowed),
        ] {
            assert_eq!(hosts.validate_api_url(url), Err(reason), "{url}");
        }
    }

    #[test]
    fn a_loopback_host_is_taken_only_where_the_setting_names_it() {
        let hosts = hosts("127.0.0.1");
        assert!(hosts.validate_api_url("http://127.0.0.1:4711").is_ok());
        assert_eq!(
            hosts.validate_api_url("http://127.0.0.2:4711"),
            Err(ApiUrlError::NotHttps)
        );
        assert_eq!(
            hosts.validate_api_url("http://127.0.0.1:4711/v2"),
            Err(ApiUrlError::MoreThanHost)
        );
        assert_eq!(
            hosts.validate_api_url("https://api.zoom.us"),
            Err(ApiUrlError::HostNotAllowed)
        );
    }

    #[test]
    fn a_setting_that_is_no_list_of_hosts_is_refused() {
        for setting in ["", " , ", "https://zoom.us", "zoom.us/x", "zoom us"] {
            assert!(setting.parse::<ZoomHosts>().is_err(), "{setting:?}");
        }
    }

    #[test]
    fn credentials_in_a_url_are_never_allowed() {
        let hosts = hosts("zoom.us");
        assert!(hosts.allows(&Url::parse("https://us06web.zoom.us/rec/download/a?b").unwrap()));
        assert!(!hosts.allows(&Url::parse("http://us06web.zoom.us/rec").unwrap()));
        assert!(!hosts.allows(&Url::parse("https://a:b@us06web.zoom.us/rec").unwrap()));
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_https_and_below_the_domain(text in "(https?://)?[a-z0-9.@:/\\\\-]{0,20}(zoom\\.us)?[a-z0-9.@:/]{0,10}") {
            if let Ok(base) = hosts("zoom.us").validate_api_url(&text) {
                let host = base.url().host_str().unwrap();
                prop_assert!(host == "zoom.us" || host.ends_with(".zoom.us"), "{}", host);
                prop_assert_eq!(base.url().scheme(), "https");
                prop_assert_eq!(base.url().port(), None);
            }
        }
    }
}
