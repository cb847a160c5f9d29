//! The form of each value, and that a file holds no secret.

mod apps;
mod chart;
mod resources;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use domicile_kernel::RegionId;

use super::Finder;
use crate::file::{Http, IdentityMode, Region, RegionFile, SecretRef};
use crate::places;
use crate::rule::Rule;
pub(super) use values::is_loopback;
use values::{is_cluster, is_plain, is_url};

/// The longest text of a file.
const MAX_TEXT_BYTES: usize = 10_000;

pub(super) fn check(finder: &mut Finder<'_>) {
    let file = &finder.document.file;
    texts(finder);
    region(finder, &file.region);
    http(finder, &file.http);
    apps::check(finder, &file.zoom);
    app(finder, file);
    resources::check(finder, file);
    chart::check(finder, file);
    secrets(finder, file);
}

/// What is asked of every text, wherever it stands.
fn texts(finder: &mut Finder<'_>) {
    for (path, text) in &finder.document.texts {
        if let Some(what) = values::secret_in(text) {
            finder.find(
                Rule::SecretInFile,
                path,
                format!("it holds {what}"),
                "put it into a secret, name that secret here, and change it: it was in a file that many read",
            );
        }
        if text.len() > MAX_TEXT_BYTES {
            finder.value(path, "it is longer than 10000 bytes", "shorten it");
        }
        if text.chars().any(|it| it.is_control() && it != '\n') || (text.contains('\n') && !is_prose(path)) {
            finder.value(
                path,
                "it holds a line end or a control character",
                "write it on one line",
            );
        }
        if text.trim().is_empty() {
            finder.value(
                path,
                "it is empty",
                "write a value, or leave the field out where it is optional",
            );
        }
    }
}

/// The texts that people read, which may have paragraphs.
fn is_prose(path: &str) -> bool {
    ["longDescription", "body", "reason"]
        .iter()
        .any(|name| path.ends_with(name))
}

fn region(finder: &mut Finder<'_>, region: &Region) {
    if let Err(error) = region.id.parse::<RegionId>() {
        finder.value("region.id", &error.to_string(), "write an id such as eu");
    }
    if region.name.chars().count() > 100 {
        finder.value(
            "region.name",
            "it has more than 100 characters",
            "write such as European Union",
        );
    }
    if !places::is_jurisdiction(&region.jurisdiction) {
        finder.find(
            Rule::JurisdictionUnknown,
            "region.jurisdiction",
            format!("{:?} is neither eu nor a country", region.jurisdiction),
            "write eu, or the two letters of a country, such as us or uk",
        );
    }
    if region.zoom_clusters.is_empty() {
        finder.value("region.zoomClusters", "it is empty", "write such as [eu]");
    }
    for (index, cluster) in region.zoom_clusters.iter().enumerate() {
        let before = region.zoom_clusters.iter().take(index);
        if !is_cluster(cluster) || before.clone().any(|other| other == cluster) {
            finder.value(
                format!("region.zoomClusters[{index}]"),
                "it is no cluster, or is listed twice",
                "write the letters of an API host, such as eu, once",
            );
        }
    }
    for (path, text) in [
        ("region.file", &region.file),
        ("region.directoryFile", &region.directory_file),
    ] {
        if !text.starts_with('/') || !is_plain(text) {
            finder.value(
                path,
                "it is no absolute path",
                "write such as /etc/domicile/region.yaml",
            );
        }
    }
}

fn http(finder: &mut Finder<'_>, http: &Http) {
    let bare = url::Url::parse(&http.public_url)
        .is_ok_and(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none());
    if !is_url(&http.public_url) || !bare {
        finder.value(
            "http.publicUrl",
            "it is no https URL of a host and nothing more",
            "write such as https://zoom.eu.example.com",
        );
    }
    let mut ports = BTreeMap::new();
    for (path, text) in [
        ("http.publicListen", &http.public_listen),
        ("http.appListen", &http.app_listen),
        ("http.opsListen", &http.ops_listen),
    ] {
        match text.parse::<SocketAddr>() {
            Err(_) => finder.value(path, "it is no address and port", "write such as 0.0.0.0:8080"),
            Ok(address) => {
                // Port 0 asks for any free one.
                if let Some(other) = ports.insert(address.port(), path).filter(|_| address.port() != 0) {
                    finder.find(
                        Rule::Contradiction,
                        path,
                        format!("{other} has this port too"),
                        "give each listener a port of its own",
                    );
                }
            }
        }
    }
}

fn app(finder: &mut Finder<'_>, file: &RegionFile) {
    let app = &file.app;
    let mut urls = vec![("app.startUrl".to_owned(), &app.start_url)];
    let returns = app.return_urls.iter().enumerate();
    urls.extend(returns.map(|(index, url)| (format!("app.returnUrls[{index}]"), url)));
    urls.extend(app.events_url.iter().map(|url| ("app.eventsUrl".to_owned(), url)));
    if let Some(jwt) = &app.identity.jwt {
        urls.push(("app.identity.jwt.jwksUrl".to_owned(), &jwt.jwks_url));
    }
    for (path, url) in urls {
        if !is_url(url) {
            finder.value(
                path,
                "it is no https URL",
                "write such as https://app.eu.example.com/zoom",
            );
        }
    }
    if app.return_urls.is_empty() {
        finder.value(
            "app.returnUrls",
            "it is empty",
            "list where a connect session may return to",
        );
    }
    if app.events_url.is_some() != app.events_secrets.is_some() {
        finder.find(
            Rule::Contradiction,
            "app.eventsUrl",
            "eventsUrl and eventsSecrets need each other",
            "write both, or neither where the app pulls",
        );
    }
    let identity = &app.identity;
    if (identity.mode == IdentityMode::SessionJwt) != identity.jwt.is_some() {
        finder.find(
            Rule::Contradiction,
            "app.identity",
            "the mode session-jwt and the section jwt need each other",
            "write both, or the mode confirm alone",
        );
    }
    if let Some(jwt) = &identity.jwt {
        if jwt.cookie.is_some() == jwt.header.is_some() {
            finder.find(
                Rule::Contradiction,
                "app.identity.jwt",
                "the token is looked for in one place",
                "write either cookie or header",
            );
        }
        if jwt.algorithms.is_empty() || !jwt.algorithms.iter().all(|it| is_plain(it) && !it.contains(',')) {
            finder.value(
                "app.identity.jwt.algorithms",
                "it is no list of algorithms",
                "write such as [ES256]",
            );
        }
        if jwt.org_claim.as_ref() == Some(&jwt.user_claim) {
            finder.find(
                Rule::Contradiction,
                "app.identity.jwt.orgClaim",
                "it is the claim of users too",
                "an organisation is known by another claim",
            );
        }
        if jwt.leeway_seconds > 120 {
            finder.value(
                "app.identity.jwt.leewaySeconds",
                "it is more than 120",
                "write at most 120",
            );
        }
    }
}

/// The form of the references, and that no two settings read the same secret.
fn secrets(finder: &mut Finder<'_>, file: &RegionFile) {
    let mut seen: BTreeMap<&SecretRef, String> = BTreeMap::new();
    for (path, secret) in file.secrets() {
        if !values::is_secret_name(&secret.name) {
            finder.value(
                format!("{path}.name"),
                "it is no name of a Secret",
                "write lower-case letters, digits, '-' and '.', such as domicile-eu-zoom",
            );
        }
        if !values::is_secret_key(&secret.key) {
            finder.value(
                format!("{path}.key"),
                "it is no key of a Secret",
                "write letters, digits, '-', '_' and '.', such as client-secret",
            );
        }
        if let Some(other) = seen.get(secret) {
            finder.find(
                Rule::SecretReferenceRepeated,
                &path,
                format!("{other} reads this secret too"),
                "give each setting a secret of its own",
            );
        } else {
            seen.insert(secret, path);
        }
    }
}
