//! The documents that Zoom's review asks for, written from the same values as the manifest (Zoom: app review).
//!
//! What only people can know (test accounts, the evidence of a penetration test) is asked for by name in the index, so that
//! nothing is forgotten and nothing is made up.

mod design;
mod index;
mod test_plan;
mod uses;

use domicile_region::RegionFile;
use domicile_region::file::MarketplaceApp;
use url::Url;

use super::Manifest;
use super::render::{AppKind, RenderError, render};

/// One document of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its file's name.
    pub name: &'static str,
    /// Its text.
    pub text: String,
}

/// What the documents are written from.
struct Values<'a> {
    region: &'a RegionFile,
    kind: AppKind,
    app: &'a MarketplaceApp,
    manifest: Manifest,
    host: String,
}

/// The whole pack of one app.
pub fn pack(region: &RegionFile, kind: AppKind) -> Result<Vec<Document>, RenderError> {
    let manifest = render(region, kind)?;
    let app = kind.of(region).ok_or_else(|| RenderError::NoSuchApp {
        region: region.region.id.clone(),
        app: kind,
    })?;
    let host = Url::parse(&app.redirect_url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .ok_or(RenderError::NotAUrl {
            app: kind,
            field: "redirectUrl",
        })?;
    let values = Values {
        region,
        kind,
        app,
        manifest,
        host,
    };
    let document = |name, text| Document { name, text };
    Ok(vec![
        document("README.md", index::index(&values)),
        document("test-plan.md", test_plan::test_plan(&values)),
        document("scopes.md", uses::scopes(&values)),
        document("events.md", uses::events(&values)),
        document("domains.md", uses::domains(&values)),
        document("data-flow.md", design::data_flow(&values)),
        document("data-deletion.md", design::deletion(&values)),
        document("technical-design.md", design::technical(&values)),
        document("manifest.json", manifest_text(&values.manifest)),
    ])
}

/// A manifest as a file: what the build flow lets one upload.
#[must_use]
pub fn manifest_text(manifest: &Manifest) -> String {
    format!("{:#}\n", manifest.to_value())
}

/// One row of a Markdown table; a bar in a cell would end it.
fn row(cells: &[&str]) -> String {
    let cells: Vec<_> = cells
        .iter()
        .map(|cell| cell.replace('|', "\\|").replace(['\r', '\n'], " "))
        .collect();
    format!("| {} |\n", cells.join(" | "))
}

fn table(head: &[&str], rows: impl IntoIterator<Item = String>) -> String {
    let rule: Vec<_> = head.iter().map(|_| "---").collect();
    let mut text = row(head) + &row(&rule);
    text.extend(rows);
    text
}

#[cfg(test)]
mod tests;
