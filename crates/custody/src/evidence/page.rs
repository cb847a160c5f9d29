//! The evidence as a page, for people. The page is read; the JSON beside it is what is verified.

use domicile_web::page::wide_layout;
use maud::{Markup, html};

use super::{Evidence, Signature};

/// The whole page.
pub fn page(evidence: &Evidence, signature: &Signature) -> Markup {
    let deployment = &evidence.deployment;
    let title = format!("Residency evidence of {}", deployment.region_name);
    let main = html! {
        article.card {
            p.kicker { "Region " (deployment.region_id) }
            h1 { (title) }
            p.lead { "From " (evidence.from.to_rfc3339()) " to " (evidence.to.to_rfc3339()) "." }
            p.soft { "Gathered at " (evidence.gathered_at.to_rfc3339()) " by version " (deployment.version) "." }
            (pairs(&[
                ("Database", deployment.database.as_str()),
                ("Object storage", deployment.object_storage.as_str()),
                ("Configuration (SHA-256)", deployment.configuration_sha256.as_str()),
            ]))
        }
        article.card {
            h2 { "Whom the region's processes contacted" }
            @if evidence.contacted.is_empty() { p { "Nobody." } } @else {
                (table(&["Host", "Port", "Purpose", "Calls", "Failed", "Sent", "Received", "First hour", "Last hour"],
                    evidence.contacted.iter().map(|it| vec![
                        it.host.clone(), it.port.to_string(), it.purpose.clone(), it.calls.to_string(),
                        it.failed.to_string(), bytes(it.sent_bytes), bytes(it.received_bytes),
                        it.first_hour.format("%Y-%m-%d %H:00").to_string(), it.last_hour.format("%Y-%m-%d %H:00").to_string(),
                    ])))
            }
        }
        article.card {
            h2 { "What the fence refused" }
            @if evidence.refused.is_empty() { p { "Nothing: no other host was to be called." } } @else {
                (table(&["Host", "Reason", "Calls"], evidence.refused.iter().map(|it| vec![
                    it.host.clone(), it.reason.clone(), it.calls.to_string(),
                ])))
            }
            h2 { "What it lets out" }
            ul { @for rule in &deployment.allowed { li { (rule) } } }
        }
        article.card {
            h2 { "What is stored" }
            @if evidence.stored.is_empty() { p { "Nothing." } } @else {
                (table(&["Kind", "Zoom account", "Count", "Size"], evidence.stored.iter().map(|it| vec![
                    it.kind.clone(), account(it.zoom_account_id.as_deref()), it.count.to_string(), measured(it.size_bytes),
                ])))
            }
        }
        article.card {
            h2 { "What was erased" }
            @if evidence.erased.is_empty() { p { "Nothing." } } @else {
                (table(&["Step", "Zoom account", "Count"], evidence.erased.iter().map(|it| vec![
                    it.what.clone(), account(it.zoom_account_id.as_deref()), it.count.to_string(),
                ])))
            }
        }
        article.card {
            h2 { "The region's keys" }
            (table(&["Id", "Where", "Seals", "Data keys"], evidence.keys.iter().map(|it| vec![
                it.id.clone(), it.kind.clone().unwrap_or_else(|| "not configured".to_owned()),
                if it.seals { "yes" } else { "no" }.to_owned(), it.data_keys.to_string(),
            ])))
        }
        article.card {
            h2 { "Signature" }
            p { "The JSON document beside this page is signed. Verify it with the region's published key: "
                code { "domicile evidence verify evidence.json --public-key <key>" } }
            (pairs(&[
                ("Algorithm", signature.algorithm.as_str()),
                ("Key id", signature.key_id.as_str()),
                ("Public key", signature.public_key.as_str()),
                ("Signature", signature.value.as_str()),
            ]))
        }
    };
    wide_layout(&title, &main)
}

fn account(id: Option<&str>) -> String {
    id.unwrap_or("(the region's own)").to_owned()
}

fn pairs(pairs: &[(&str, &str)]) -> Markup {
    html! {
        div.scroll { table { tbody { @for (name, value) in pairs { tr { th scope="row" { (name) } td { code { (value) } } } } } } }
    }
}

fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { @for head in heads { th scope="col" { (head) } } } }
            tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
        } }
    }
}

/// A size, where there is one.
fn measured(size_bytes: i64) -> String {
    if size_bytes == 0 {
        "not measured".to_owned()
    } else {
        bytes(size_bytes)
    }
}

/// A size for people, exact below ten thousand.
fn bytes(size_bytes: i64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if size_bytes < 10_000 {
        return format!("{size_bytes} B");
    }
    let mut whole = size_bytes;
    let mut unit = "B";
    for next in UNITS {
        if whole < 10_000 {
            break;
        }
        whole /= 1000;
        unit = next;
    }
    format!("{whole} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        for (size, text) in [
            (0, "0 B"),
            (9_999, "9999 B"),
            (10_000, "10 kB"),
            (20_971_520, "20 MB"),
            (5_000_000_000_000_000, "5000 TB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }
}
