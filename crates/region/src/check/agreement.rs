//! What one section says must be what another says.

use url::Url;

use super::Finder;
use crate::file::MarketplaceApp;
use crate::rule::Rule;

/// Zoom's own domains, for commercial and for government customers.
const ZOOMS: &[&str] = &["zoom.us", "zoom.com", "zoomgov.com"];

/// Whether this host is Zoom's own.
pub(super) fn is_zooms(host: &str) -> bool {
    ZOOMS
        .iter()
        .any(|zooms| host == *zooms || host.ends_with(&format!(".{zooms}")))
}

pub(super) fn check(finder: &mut Finder<'_>) {
    let file = &finder.document.file;
    let base = file.base_url();
    for (name, app) in file.zoom.apps.named() {
        let path = format!("zoom.apps.{name}");
        let events = if name == "bot" {
            "/zoom/bot"
        } else {
            "/zoom/events"
        };
        addresses(finder, &path, app, base, events);
    }
    zoom_hosts(finder);
}

fn addresses(finder: &mut Finder<'_>, path: &str, app: &MarketplaceApp, base: &str, events: &str) {
    let mut wanted = vec![
        (
            Rule::RedirectUrl,
            "redirectUrl",
            &app.redirect_url,
            "/oauth/callback",
        ),
        (Rule::InstallUrl, "installUrl", &app.install_url, "/install"),
        (Rule::EventsUrl, "eventsUrl", &app.events_url, events),
    ];
    if let Some(chat) = &app.chat {
        wanted.push((
            Rule::MessageUrl,
            "chat.messageUrl",
            &chat.message_url,
            "/zoom/bot",
        ));
    }
    for (rule, field, present, route) in wanted {
        let right = format!("{base}{route}");
        if *present != right {
            finder.find(
                rule,
                format!("{path}.{field}"),
                format!("it is {present}, but http.publicUrl leads to {right}"),
                format!("write {right}"),
            );
        }
    }
}

fn zoom_hosts(finder: &mut Finder<'_>) {
    const REMEDY: &str = "list Zoom's own domains alone, such as zoom.us";
    let file = &finder.document.file;
    for (index, host) in file.zoom.hosts.iter().enumerate() {
        if !is_zooms(host) {
            let reason = format!("{host} is not Zoom's, and what is listed here counts as shared by all");
            finder.find(Rule::ZoomHosts, format!("zoom.hosts[{index}]"), reason, REMEDY);
        }
    }
    for (path, text) in [
        ("zoom.oauthUrl", &file.zoom.oauth_url),
        ("zoom.apiUrl", &file.zoom.api_url),
    ] {
        let host = Url::parse(text)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned));
        if let Some(host) = host.filter(|host| !is_zooms(host)) {
            finder.find(Rule::ZoomHosts, path, format!("{host} is not Zoom's"), REMEDY);
        }
    }
    for (index, host) in file.egress.allow.iter().enumerate() {
        if is_zooms(host.split(':').next().unwrap_or(host)) {
            finder.find(
                Rule::ZoomHosts,
                format!("egress.allow[{index}]"),
                format!("{host} is Zoom's"),
                "list it under zoom.hosts, or rely on zoom.us there",
            );
        }
    }
}
