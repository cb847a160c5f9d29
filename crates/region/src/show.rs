//! A region on one page, and what differs between two.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

use crate::check::called_hosts;
use crate::file::{AppUsage, MarketplaceApp, RegionFile};

/// The region on one page, for people.
pub fn page(file: &RegionFile) -> String {
    let mut page = Page(String::new());
    let region = &file.region;
    page.0 = format!("{} ({})\n", region.name, region.id);
    page.section("Where");
    page.line("jurisdiction", &region.jurisdiction);
    page.line("public host", &file.http.public_url);
    page.line("Zoom clusters", region.zoom_clusters.join(", "));
    let unknown = format!("{:?}", region.unknown_cluster).to_lowercase();
    page.line("other clusters", format!("{unknown} where Zoom names none"));
    page.line("who may link", format!("{:?}", region.admission).to_lowercase());
    let deployment = &file.deployment;
    page.line("cluster", &deployment.cluster_context);
    page.line("namespace", &deployment.namespace);
    page.line("release order", deployment.release_order);
    page.line("image", &deployment.image_repository);
    page.line("", &deployment.image_digest);
    for (name, app) in file.zoom.apps.named() {
        page.app(name, app);
    }
    page.section("The application");
    page.line("start page", &file.app.start_url);
    page.line("returns to", file.app.return_urls.join(", "));
    let events = file.app.events_url.as_deref();
    page.line("events", events.unwrap_or("the app pulls"));
    page.section("Data");
    let database = &file.database;
    page.line(
        "database",
        format!("{} on {}:{}", database.name, database.host, database.port),
    );
    page.line("storage", &file.objects.url);
    page.line("", file.objects.region.as_deref().unwrap_or_default());
    for (index, key) in file.vault.keys.iter().enumerate() {
        let what = key.aws_kms.as_deref().unwrap_or("local");
        let label = if index == 0 { "seals with" } else { "opens with" };
        page.line(label, format!("{} ({what})", key.id));
    }
    let telemetry = file.telemetry.otlp_endpoint.as_deref();
    page.line("telemetry", telemetry.unwrap_or("scraped only"));
    page.section("May call");
    page.line("Zoom", file.zoom.hosts.join(", "));
    for (index, host) in called_hosts(file).iter().enumerate() {
        page.line(if index == 0 { "its own" } else { "" }, host);
    }
    page.section("Secrets, by name and key");
    for (path, secret) in file.secrets() {
        let _ = writeln!(page.0, "  {}/{}  {path}", secret.name, secret.key);
    }
    if !file.exceptions.is_empty() {
        page.section("Exceptions");
    }
    for exception in &file.exceptions {
        let _ = writeln!(page.0, "  {}: {}", exception.rule, exception.reason);
    }
    page.section("Configuration digest");
    let _ = writeln!(page.0, "  {}", file.digest());
    page.0
}

struct Page(String);

impl Page {
    fn section(&mut self, title: &str) {
        let _ = writeln!(self.0, "\n{title}");
    }

    fn line(&mut self, label: &str, value: impl std::fmt::Display) {
        let value = value.to_string();
        if !value.is_empty() {
            let _ = writeln!(self.0, "  {label:<15} {value}");
        }
    }

    fn app(&mut self, name: &str, app: &MarketplaceApp) {
        let usage = match app.usage {
            AppUsage::UserManaged => "user-managed",
            AppUsage::AdminManaged => "admin-managed",
        };
        self.section(&format!("Zoom app: {name}, {usage}"));
        self.line("name", &app.name);
        self.line("app id", &app.app_id);
        self.line("client id", &app.client_id);
        self.line("redirect", &app.redirect_url);
        self.line("events", &app.events_url);
        for (index, scope) in app.scopes.iter().enumerate() {
            let label = if index == 0 { "scopes" } else { "" };
            let optional = if scope.optional { " (optional)" } else { "" };
            self.line(label, format!("{}{optional}", scope.scope));
        }
        let types: Vec<_> = app
            .events
            .iter()
            .flat_map(|it| it.types.iter().cloned())
            .collect();
        self.line("is told", types.join(", "));
        if let Some(chat) = &app.chat {
            self.line("bot", &chat.robot_jid);
            self.line("command", format!("/{}", chat.slash_command.command));
        }
    }
}

/// What differs between two regions: one path a paragraph, and nothing that is the same.
pub fn diff(one: &RegionFile, other: &RegionFile) -> String {
    let (ours, theirs) = (flat(one), flat(other));
    let paths: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let mut text = String::new();
    let mut same = 0usize;
    for path in paths {
        let (a, b) = (ours.get(path), theirs.get(path));
        if a == b {
            same += 1;
            continue;
        }
        let _ = writeln!(text, "{path}");
        for (sign, id, value) in [('-', &one.region.id, a), ('+', &other.region.id, b)] {
            let value = value.map_or("(not there)", String::as_str);
            let _ = writeln!(text, "  {sign} {id}: {value}");
        }
    }
    let _ = writeln!(text, "{same} values are the same.");
    text
}

/// Every value with its path.
fn flat(file: &RegionFile) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    let value = serde_json::to_value(file).unwrap_or_default();
    flatten(&value, String::new(), &mut flat);
    flat
}

fn flatten(value: &Value, path: String, flat: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let separator = if path.is_empty() { "" } else { "." };
                flatten(member, format!("{path}{separator}{name}"), flat);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(item, format!("{path}[{index}]"), flat);
            }
        }
        Value::String(text) => drop(flat.insert(path, text.clone())),
        scalar => drop(flat.insert(path, scalar.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eu() -> RegionFile {
        serde_saphyr::from_str(include_str!("../../../regions/eu.yaml")).unwrap()
    }

    #[test]
    fn the_page_names_what_matters_and_fits_a_screen_or_two() {
        let page = page(&eu());
        for shown in [
            "European Union (eu)",
            "https://zoom.eu.example.com",
            "arn:aws:kms:eu-central-1",
            "otlp.eu.example.com",
            "kms.eu-central-1.amazonaws.com",
            "domicile-eu-zoom/client-secret",
            "/example-eu",
            "sha256:",
        ] {
            assert!(page.contains(shown), "{shown} in\n{page}");
        }
        assert!(page.lines().count() < 100);
    }

    #[test]
    fn the_difference_is_what_differs_and_nothing_else() {
        let eu = eu();
        assert!(!diff(&eu, &eu).contains("  - "));
        let mut other = eu.clone();
        other.region.id = "uk".to_owned();
        other.egress.allow.push("a.example.com".to_owned());
        assert!(diff(&eu, &other).starts_with(
            "egress.allow[0]\n  - eu: (not there)\n  + uk: a.example.com\nregion.id\n  - eu: eu\n  + uk: uk\n"
        ));
    }
}
