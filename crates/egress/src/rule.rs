//! Which hosts a setting allows.

use std::fmt;

use thiserror::Error;
use url::{Host, Url};

use crate::address::{AddressClass, classify, is_localhost_name, is_loopback_host};

/// One host, or one family of hosts, that may be called. Hosts are in the form the `url` crate gives them: lower case,
/// punycode, IPv6 in brackets. The constructors see to that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostRule {
    /// This host over https.
    Exact {
        /// The host name or address.
        host: String,
        /// The only port; `None` means 443.
        port: Option<u16>,
    },
    /// This domain and everything under it, over https on port 443: `zoom.us` matches `zoom.us` and `us06web.zoom.us`.
    Suffix {
        /// The domain, without a leading dot.
        domain: String,
    },
    /// This loopback host on any port, over http or https: development and tests.
    Loopback {
        /// `localhost`, a name under `.localhost`, or a loopback address.
        host: String,
    },
}

/// Why a text or URL makes no rule. Never holds more than the host.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRule {
    /// There is no host in it.
    #[error("no host is named")]
    NoHost,
    /// Something else than a host, or a host and a port, was given.
    #[error("this is no host name; write `example.com` or `example.com:8443`")]
    NotAHost,
    /// Plain http to another machine, or another scheme.
    #[error("`{host}` must be called over https; plain http is accepted for loopback hosts only")]
    NotHttps {
        /// The host.
        host: String,
    },
    /// The URL has a user name or password before the host.
    #[error("the URL of `{host}` must not hold a user name or password")]
    Userinfo {
        /// The host.
        host: String,
    },
    /// A whole top-level domain, a wildcard or an address where a domain with subdomains is wanted.
    #[error(
        "`{text}` is no domain that a suffix can stand for; write `example.com`, which covers its subdomains"
    )]
    NotASuffix {
        /// What was given.
        text: String,
    },
    /// A link-local, metadata, multicast or reserved address, which no setting can allow.
    #[error("`{host}` is an address that is never called")]
    ForbiddenAddress {
        /// The address.
        host: String,
    },
}

impl HostRule {
    /// The rule for the host of a URL that an operator's own setting holds: [`HostRule::Loopback`] if it names a
    /// loopback host, else [`HostRule::Exact`] with the URL's port.
    pub fn for_url(url: &Url) -> Result<Self, InvalidRule> {
        let host = url.host().ok_or(InvalidRule::NoHost)?;
        let text = url.host_str().ok_or(InvalidRule::NoHost)?.to_owned();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidRule::Userinfo { host: text });
        }
        if is_loopback_host(&host) && matches!(url.scheme(), "http" | "https") {
            return Ok(Self::Loopback { host: text });
        }
        if url.scheme() != "https" {
            return Err(InvalidRule::NotHttps { host: text });
        }
        if address_of(&host).is_some_and(|class| class == AddressClass::Forbidden) {
            return Err(InvalidRule::ForbiddenAddress { host: text });
        }
        Ok(Self::Exact {
            host: text,
            port: url.port(),
        })
    }

    /// The rule for `example.com` or `example.com:8443`, as `DOMICILE_EGRESS_ALLOW` lists them.
    pub fn parse_exact(text: &str) -> Result<Self, InvalidRule> {
        Self::for_url(&host_url(text)?)
    }

    /// The rule for a domain and everything under it, as `DOMICILE_ZOOM_HOSTS` lists them. A loopback host makes a
    /// [`HostRule::Loopback`].
    pub fn parse_suffix(text: &str) -> Result<Self, InvalidRule> {
        let url = host_url(text)?;
        let refused = || InvalidRule::NotASuffix {
            text: text.to_owned(),
        };
        match Self::for_url(&url)? {
            loopback @ Self::Loopback { .. } => Ok(loopback),
            Self::Exact { host, port: None } if is_domain(&url) && host.contains('.') => {
                let plain = host.split('.').all(|label| {
                    !label.is_empty()
                        && label
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                });
                plain.then_some(Self::Suffix { domain: host }).ok_or_else(refused)
            }
            _ => Err(refused()),
        }
    }

    /// True when the URL's scheme, host and port are what this rule allows.
    pub fn matches(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else {
            return false;
        };
        self.matches_host(host)
            && match self {
                Self::Exact { port, .. } => is_https_on(url, port.unwrap_or(443)),
                Self::Suffix { .. } => is_https_on(url, 443),
                Self::Loopback { .. } => matches!(url.scheme(), "http" | "https"),
            }
    }

    /// True when the host is what this rule allows, whatever the scheme and port.
    pub fn matches_host(&self, host: &str) -> bool {
        match self {
            Self::Exact { host: own, .. } | Self::Loopback { host: own } => own == host,
            Self::Suffix { domain } => host
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
        }
    }

    /// The same rule, which also accepts addresses of private networks: for hosts that the operator's own settings
    /// name, such as storage inside the cluster. Never for a host that somebody else names.
    pub fn internal(self) -> Rule {
        Rule {
            hosts: Hosts::Rule(self),
            internal: true,
        }
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact { host, port: None } => f.write_str(host),
            Self::Exact {
                host,
                port: Some(port),
            } => write!(f, "{host}:{port}"),
            Self::Suffix { domain } => write!(f, "{domain} and all under it"),
            Self::Loopback { host } => write!(f, "{host} on any port"),
        }
    }
}

/// A [`HostRule`] as the fence keeps it: with the addresses that it may resolve to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub(crate) hosts: Hosts,
    pub(crate) internal: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hosts {
    Rule(HostRule),
    /// Every loopback host, for tests and the workshop.
    AnyLoopback,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hosts {
            Hosts::Rule(rule) => rule.fmt(f),
            Hosts::AnyLoopback => f.write_str("every loopback host"),
        }
    }
}

impl From<HostRule> for Rule {
    fn from(rule: HostRule) -> Self {
        Self {
            hosts: Hosts::Rule(rule),
            internal: false,
        }
    }
}

impl Rule {
    pub(crate) fn any_loopback() -> Self {
        Self {
            hosts: Hosts::AnyLoopback,
            internal: false,
        }
    }

    pub(crate) fn matches(&self, url: &Url) -> bool {
        match &self.hosts {
            Hosts::Rule(rule) => rule.matches(url),
            Hosts::AnyLoopback => {
                matches!(url.scheme(), "http" | "https")
                    && url.host().is_some_and(|host| is_loopback_host(&host))
            }
        }
    }

    pub(crate) fn matches_host(&self, host: &str) -> bool {
        match &self.hosts {
            Hosts::Rule(rule) => rule.matches_host(host),
            Hosts::AnyLoopback => {
                is_localhost_name(host)
                    || Host::parse(host).is_ok_and(|host| match host {
                        Host::Domain(_) => false,
                        Host::Ipv4(v4) => classify(v4.into()) == AddressClass::Loopback,
                        Host::Ipv6(v6) => classify(v6.into()) == AddressClass::Loopback,
                    })
            }
        }
    }

    pub(crate) fn permits(&self, class: AddressClass) -> bool {
        let loopback = matches!(
            self.hosts,
            Hosts::AnyLoopback | Hosts::Rule(HostRule::Loopback { .. })
        );
        match class {
            AddressClass::Loopback => loopback,
            AddressClass::Public => !loopback,
            AddressClass::Private => !loopback && self.internal,
            AddressClass::Forbidden => false,
        }
    }
}

/// The class of a host that is an address; `None` for a name.
pub(crate) fn address_of(host: &Host<&str>) -> Option<AddressClass> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(v4) => Some(classify((*v4).into())),
        Host::Ipv6(v6) => Some(classify((*v6).into())),
    }
}

fn is_https_on(url: &Url, port: u16) -> bool {
    url.scheme() == "https" && url.port_or_known_default() == Some(port)
}

fn is_domain(url: &Url) -> bool {
    matches!(url.host(), Some(Host::Domain(_)))
}

/// `host` or `host:port` as a URL; the parser that reads it is the one that reads the URLs it is compared with.
fn host_url(text: &str) -> Result<Url, InvalidRule> {
    let stray =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '\\' | '?' | '#' | '@' | '*');
    if text.is_empty() {
        return Err(InvalidRule::NoHost);
    }
    if text.contains(stray) {
        return Err(InvalidRule::NotAHost);
    }
    Url::parse(&format!("https://{text}/")).map_err(|_| InvalidRule::NotAHost)
}

#[cfg(test)]
mod tests;
