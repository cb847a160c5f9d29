//! The allow-list of hosts.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use thiserror::Error;
use url::Url;

use crate::address::classify;
use crate::contacts::Contacts;
use crate::metrics::Metrics;
use crate::rule::{Rule, address_of};

/// The hosts that this process may call, each with the setting that names it. Everything else is refused, counted
/// (`domicile.egress.refused`) and logged with the host alone.
pub struct Fence {
    rules: Vec<(Cow<'static, str>, Rule)>,
    settings: Vec<Setting>,
    contacts: Contacts,
    metrics: Metrics,
}

#[derive(Debug, Clone)]
struct Setting {
    name: Cow<'static, str>,
    purpose: Option<&'static str>,
}

/// Collects the rules of a [`Fence`].
#[derive(Default)]
pub struct FenceBuilder {
    rules: Vec<(Cow<'static, str>, Rule)>,
    settings: Vec<Setting>,
}

impl FenceBuilder {
    /// Declares a setting by which hosts are allowed and what these are for, so that a refusal names it even while it
    /// allows nothing.
    #[must_use]
    pub fn setting(mut self, name: impl Into<Cow<'static, str>>, purpose: &'static str) -> Self {
        let name = name.into();
        match self.settings.iter_mut().find(|known| known.name == name) {
            Some(known) => known.purpose = Some(purpose),
            None => self.settings.push(Setting {
                name,
                purpose: Some(purpose),
            }),
        }
        self
    }

    /// Allows what the rule says, because of the named setting.
    #[must_use]
    pub fn allow(mut self, setting: impl Into<Cow<'static, str>>, rule: impl Into<Rule>) -> Self {
        let name = setting.into();
        if !self.settings.iter().any(|known| known.name == name) {
            self.settings.push(Setting {
                name: name.clone(),
                purpose: None,
            });
        }
        self.rules.push((name, rule.into()));
        self
    }

    /// [`FenceBuilder::allow`] for each rule of a list.
    #[must_use]
    pub fn allow_all<R: Into<Rule>>(
        self,
        setting: impl Into<Cow<'static, str>>,
        rules: impl IntoIterator<Item = R>,
    ) -> Self {
        let setting = setting.into();
        rules
            .into_iter()
            .fold(self, |fence, rule| fence.allow(setting.clone(), rule))
    }

    /// The fence.
    pub fn build(self) -> Fence {
        Fence {
            rules: self.rules,
            settings: self.settings,
            contacts: Contacts::default(),
            metrics: Metrics::global(),
        }
    }
}

/// Who wrote the URL that is to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedBy {
    /// A setting of the operator's.
    Operator,
    /// Somebody outside: Zoom in an answer or event, or a redirect. Rules marked internal do not count.
    Outsider,
}

impl Fence {
    /// An empty list, to which rules are added.
    pub fn builder() -> FenceBuilder {
        FenceBuilder::default()
    }

    /// Says whether a URL of the operator's own settings may be called: https (or a loopback rule), no user name or
    /// password, a host and port that a rule allows and, where the host is an address, one that the rule may reach.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        self.check_named(url, NamedBy::Operator)
    }

    /// [`Fence::check`] for a URL that came from outside: hosts that are allowed by `.internal()` rules only are
    /// refused, so that nobody else can point us at the inside of our network.
    pub fn check_foreign(&self, url: &Url) -> Result<(), Refused> {
        self.check_named(url, NamedBy::Outsider)
    }

    pub(crate) fn check_named(&self, url: &Url, by: NamedBy) -> Result<(), Refused> {
        self.judge(url, by).map_err(|reason| {
            let refused = self.refused(
                url.scheme(),
                url.host_str().unwrap_or_default(),
                url.port(),
                reason,
            );
            self.report(&refused);
            refused
        })
    }

    /// Everything that is let out, as text: the rule, and the setting that says so.
    pub fn allowed(&self) -> impl Iterator<Item = String> {
        self.rules
            .iter()
            .map(|(setting, rule)| format!("{rule} ({setting})"))
    }

    /// Whom the clients of this fence have talked to.
    pub fn contacts(&self) -> &Contacts {
        &self.contacts
    }

    fn judge(&self, url: &Url, by: NamedBy) -> Result<(), RefusedReason> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(RefusedReason::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RefusedReason::Userinfo);
        }
        let (Some(host), Some(text)) = (url.host(), url.host_str()) else {
            return Err(RefusedReason::Host);
        };
        let mut allowing = self.rules_for(by).filter(|rule| rule.matches(url)).peekable();
        if allowing.peek().is_none() {
            let host_known = self.rules_for(by).any(|rule| rule.matches_host(text));
            return Err(match (host_known, url.scheme()) {
                (true, "http") => RefusedReason::Scheme,
                (true, _) => RefusedReason::Port,
                (false, _) => RefusedReason::Host,
            });
        }
        match address_of(&host) {
            Some(class) if !allowing.any(|rule| rule.permits(class)) => Err(RefusedReason::Address),
            _ => Ok(()),
        }
    }

    /// The addresses of a resolved name that may be connected to; refused when there are some, and none is allowed.
    pub(crate) fn filter(
        &self,
        host: &str,
        addresses: Vec<IpAddr>,
        by: NamedBy,
    ) -> Result<Vec<IpAddr>, Refused> {
        let rules: Vec<_> = self
            .rules_for(by)
            .filter(|rule| rule.matches_host(host))
            .collect();
        let found = addresses.len();
        let allowed: Vec<_> = addresses
            .into_iter()
            .filter(|address| rules.iter().any(|rule| rule.permits(classify(*address))))
            .collect();
        if allowed.is_empty() && found > 0 {
            let reason = if rules.is_empty() {
                RefusedReason::Host
            } else {
                RefusedReason::ResolvedAddress
            };
            let refused = self.refused("", host, None, reason);
            self.report(&refused);
            return Err(refused);
        }
        Ok(allowed)
    }

    fn rules_for(&self, by: NamedBy) -> impl Iterator<Item = &Rule> {
        self.rules
            .iter()
            .map(|(_, rule)| rule)
            .filter(move |rule| by == NamedBy::Operator || !rule.internal)
    }

    fn refused(&self, scheme: &str, host: &str, port: Option<u16>, reason: RefusedReason) -> Refused {
        let settings: Vec<_> = match reason {
            // A host that is known needs its own setting changed, not another one.
            RefusedReason::Port | RefusedReason::Address | RefusedReason::ResolvedAddress => self
                .settings
                .iter()
                .filter(|setting| {
                    self.rules
                        .iter()
                        .any(|(name, rule)| *name == setting.name && rule.matches_host(host))
                })
                .collect(),
            _ => self.settings.iter().collect(),
        };
        Refused {
            scheme: scheme.chars().take(16).collect(),
            host: host.chars().take(253).collect(),
            port,
            reason,
            settings: settings
                .into_iter()
                .map(|setting| match setting.purpose {
                    Some(purpose) => format!("{} ({purpose})", setting.name),
                    None => setting.name.to_string(),
                })
                .collect(),
        }
    }

    fn report(&self, refused: &Refused) {
        self.metrics.refused(refused.reason);
        self.contacts.refused(&refused.host, refused.reason);
        tracing::warn!(
            server.address = refused.host,
            reason = refused.reason.as_str(),
            "refused to call a host that no setting allows this way"
        );
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// Why the fence refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedReason {
    /// Plain http to a host that is no loopback host of a setting, or another scheme.
    Scheme,
    /// A user name or password stands in the URL.
    Userinfo,
    /// No rule names the host.
    Host,
    /// The host is allowed, this port of it is not.
    Port,
    /// The host is an address that its rule may not reach.
    Address,
    /// The host's name leads to addresses that its rule may not reach.
    ResolvedAddress,
}

impl RefusedReason {
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 6] = [
        Self::Scheme,
        Self::Userinfo,
        Self::Host,
        Self::Port,
        Self::Address,
        Self::ResolvedAddress,
    ];

    /// The value of the `reason` attribute of metric and log line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheme => "scheme",
            Self::Userinfo => "userinfo",
            Self::Host => "host",
            Self::Port => "port",
            Self::Address => "address",
            Self::ResolvedAddress => "resolved_address",
        }
    }
}

/// A call that the fence did not let out. Its text names the host and the settings that could allow it, never path or
/// query.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Refused {
    scheme: String,
    host: String,
    port: Option<u16>,
    reason: RefusedReason,
    settings: Vec<String>,
}

impl Refused {
    /// Why.
    pub fn reason(&self) -> RefusedReason {
        self.reason
    }

    /// The host that was to be called.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The settings that could allow it, each with its purpose in brackets where one was declared.
    pub fn settings(&self) -> &[String] {
        &self.settings
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scheme,
            host,
            port,
            reason,
            settings,
        } = self;
        let settings = match settings.as_slice() {
            [] => "any setting".to_owned(),
            names => names.join(", "),
        };
        match reason {
            RefusedReason::Scheme => write!(
                f,
                "refused to call `{host}` over {scheme}: only https is allowed, and http only for a loopback host that \
                 one of these settings names: {settings}"
            ),
            RefusedReason::Userinfo => {
                write!(
                    f,
                    "refused to call `{host}`: its URL holds a user name or password"
                )
            }
            RefusedReason::Host => write!(
                f,
                "refused to call `{host}`: it is not among the hosts of these settings: {settings}"
            ),
            RefusedReason::Port => match port {
                Some(port) => write!(
                    f,
                    "refused to call port {port} of `{host}`: the port is not the one of {settings}"
                ),
                None => write!(
                    f,
                    "refused to call the default port of `{host}`: the port is not the one of {settings}"
                ),
            },
            RefusedReason::Address => write!(
                f,
                "refused to call `{host}`: a private, local or reserved address, which {settings} cannot allow"
            ),
            RefusedReason::ResolvedAddress => write!(
                f,
                "refused to call `{host}`: its name leads only to private, local or reserved addresses, which \
                 {settings} cannot allow"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
