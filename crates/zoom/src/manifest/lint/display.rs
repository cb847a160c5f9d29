//! `display_information`: what the listing and its review ask for.

use super::super::DisplayInformation;
use super::{Findings, filled};

/// Zoom's manifest takes fewer than 50 characters.
const NAME: usize = 49;
const DESCRIPTION: usize = 150;
const COMPANY: usize = 150;

pub(super) fn lint(display: &DisplayInformation, findings: &mut Findings) {
    let name = display.display_name.trim();
    if name.is_empty() || name.chars().count() > NAME {
        findings.add(
            "display_information.display_name",
            format!("the name has {} characters", name.chars().count()),
            "write 1 to 49 characters",
        );
    }
    let description = filled(display.description.as_deref()).unwrap_or_default();
    if description.is_empty() || description.chars().count() > DESCRIPTION {
        findings.add(
            "display_information.description",
            format!(
                "the short description has {} characters",
                description.chars().count()
            ),
            "write one sentence of at most 150 characters",
        );
    }
    if filled(display.long_description.as_deref()).is_none() {
        findings.add(
            "display_information.long_description",
            "the listing's text is missing",
            "say what the app does with Zoom's data, for whom, and how it is removed",
        );
    }
    let company = filled(display.company_name.as_deref()).unwrap_or_default();
    if company.is_empty() || company.chars().count() > COMPANY {
        findings.add(
            "display_information.company_name",
            format!("the company's name has {} characters", company.chars().count()),
            "write 1 to 150 characters",
        );
    }
    one_of(
        findings,
        "discover_type",
        display.discover_type.as_deref(),
        &["LISTED", "UNLISTED"],
    );
    one_of(
        findings,
        "install_type",
        display.install_type.as_deref(),
        &["APP_DIRECTORY", "LANDING_PAGE"],
    );
    let landing = "display_information.install_landing_url";
    if display.install_type.as_deref() == Some("LANDING_PAGE") {
        findings.needed_url(
            landing,
            display.install_landing_url.as_deref(),
            "the page that LANDING_PAGE leads to",
            "write the region's own install page, such as https://zoom.eu.example.com/install",
        );
    } else if let Some(url) = filled(display.install_landing_url.as_deref()) {
        findings.url(landing, url);
    }
    for (field, url) in [
        ("privacy_url", &display.privacy_url),
        ("terms_url", &display.terms_url),
        ("support_url", &display.support_url),
        ("doc_url", &display.doc_url),
    ] {
        findings.needed_url(
            &format!("display_information.{field}"),
            url.as_deref(),
            "a page that the review reads",
            "write the https URL of that page on your own domain",
        );
    }
}

fn one_of(findings: &mut Findings, field: &str, value: Option<&str>, known: &[&str]) {
    if let Some(value) = filled(value)
        && !known.contains(&value)
    {
        findings.add(
            format!("display_information.{field}"),
            format!("Zoom knows {}, and not this value", known.join(" and ")),
            "write one of Zoom's values",
        );
    }
}
