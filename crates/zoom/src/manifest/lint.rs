//! The rules for manifests that Zoom's validator lacks. It passes an app whose redirect URI no consent page accepts, whose
//! endpoints are plain text and whose events never come; review, or the first customer, finds it (Zoom: app manifests; app
//! review).

mod display;
mod events;
mod features;
mod oauth;

use std::fmt;

use url::{Host, Url};

use super::Manifest;

/// One breach of one rule, in the form in which findings of region files are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where in the manifest, such as `oauth_information.scopes[2].scope`.
    pub path: String,
    /// What is wrong.
    pub reason: String,
    /// What would be right.
    pub remedy: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path, self.reason, self.remedy)
    }
}

/// Every breach of every rule; nothing when there is none.
#[must_use]
pub fn lint(manifest: &Manifest) -> Vec<Finding> {
    let mut findings = Findings::default();
    display::lint(&manifest.display_information, &mut findings);
    oauth::lint(manifest, &mut findings);
    features::lint(manifest, &mut findings);
    events::lint(manifest, &mut findings);
    one_host(manifest, &mut findings);
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, path: impl Into<String>, reason: impl Into<String>, remedy: &'static str) {
        self.0.push(Finding {
            path: path.into(),
            reason: reason.into(),
            remedy,
        });
    }

    /// A URL that Zoom or a browser calls: https, a public name, no credentials and no fragment in it.
    fn url(&mut self, path: &str, text: &str) {
        let fault = match Url::parse(text) {
            Err(_) => "it is no URL",
            Ok(url) if url.scheme() != "https" => "it is not https",
            Ok(url) if !has_public_name(&url) => "its host is no public name",
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "it holds a user name or password"
            }
            Ok(url) if url.fragment().is_some() => "it holds a fragment",
            Ok(_) => return,
        };
        self.add(path, fault, "write https://, a public host name and the path");
    }

    /// The same for one that must be there.
    fn needed_url(&mut self, path: &str, url: Option<&str>, what: &str, remedy: &'static str) {
        match url.filter(|url| !url.trim().is_empty()) {
            Some(url) => self.url(path, url),
            None => self.add(path, format!("{what} is missing"), remedy),
        }
    }
}

fn has_public_name(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let last = name.rsplit('.').next();
            name.contains('.') && !matches!(last, Some("localhost" | "local"))
        }
        _ => false,
    }
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

/// A region has one host, and nothing of its app leads elsewhere (INV-1).
fn one_host(manifest: &Manifest, findings: &mut Findings) {
    let oauth = &manifest.oauth_information;
    let Some(own) = oauth.production_redirect_uri.as_deref().and_then(host) else {
        return;
    };
    let mut check = |path: String, url: Option<&str>| {
        if let Some(other) = url.and_then(host)
            && other != own
        {
            findings.add(
                path,
                format!("its host {other} is not {own}, where production redirects"),
                "give the region one host, and let every endpoint of its app lead there",
            );
        }
    };
    let features = &manifest.features;
    let slash = features
        .team_chat_subscription
        .as_ref()
        .filter(|chat| chat.enable)
        .and_then(|chat| chat.slash_command.as_ref());
    check(
        "features.team_chat_subscription.slash_command.production_message_url".to_owned(),
        slash.and_then(|slash| slash.production_message_url.as_deref()),
    );
    let subscription = features.event_subscription.as_ref().filter(|it| it.enable);
    for (index, event) in subscription.iter().flat_map(|it| &it.events).enumerate() {
        check(
            format!("features.event_subscription.events[{index}].production_webhook_url"),
            event.production_webhook_url.as_deref(),
        );
    }
    check(
        "display_information.install_landing_url".to_owned(),
        manifest.display_information.install_landing_url.as_deref(),
    );
}

fn host(text: &str) -> Option<String> {
    Some(Url::parse(text).ok()?.host_str()?.to_owned())
}

#[cfg(test)]
mod tests;
