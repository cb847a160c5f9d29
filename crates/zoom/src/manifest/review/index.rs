//! `README.md`: what is in the pack, what goes into which field, and what is still to be added.

use super::{Values, row, table};

pub(super) fn index(values: &Values<'_>) -> String {
    let Values {
        region, kind, app, ..
    } = values;
    let listing = &region.zoom.listing;
    let documents = [
        ("test-plan.md", "release notes for the reviewer: link to it"),
        ("scopes.md", "scopes: one description each"),
        ("events.md", "event subscriptions"),
        ("domains.md", "domain validation"),
        ("data-flow.md", "technical design: architecture diagram"),
        ("technical-design.md", "technical design: stack and attestations"),
        ("data-deletion.md", "privacy: retention and deletion"),
        (
            "manifest.json",
            "the app's manifest, for an upload in the build flow",
        ),
    ];
    let documents = table(
        &["document", "for"],
        documents
            .iter()
            .map(|(name, what)| row(&[&format!("[{name}]({name})"), what])),
    );
    let fields = [
        ("name", app.name.as_str()),
        ("short description", &app.description),
        ("long description", &app.long_description),
        ("company", &listing.company_name),
        (
            "developer contact",
            &format!("{}, {}", listing.contact_name, listing.contact_email),
        ),
        (
            "listed",
            if app.listed {
                "yes"
            } else {
                "no: reached by its URL"
            },
        ),
        ("added from", &app.install_url),
        ("privacy policy", &listing.privacy_url),
        ("terms of use", &listing.terms_url),
        ("support", &listing.support_url),
        ("documentation", &listing.documentation_url),
    ]
    .map(|(what, value)| row(&[what, value]));
    let fields = table(&["field", "value"], fields);
    let by_hand = BY_HAND.map(|line| format!("- [ ] {line}\n")).concat();
    format!(
        "# Review pack: {name}\n\nThe {kind} app of the region {region}. Everything here is generated from the region's file; \
         change that and generate again.\n\n{documents}\n## The listing\n\n{fields}\n## To be added by hand\n\n{by_hand}",
        name = app.name,
        region = region.region.name,
    )
}

/// What only people know or have.
const BY_HAND: [&str; 7] = [
    "Icon of 160 x 160 pixels; gallery pictures of 1200 x 780 or a video of at most 40 MB.",
    "Test accounts at the application for the reviewer, two if roles differ, with passwords that do not expire.",
    "Support hours and the time to the first answer, on the support page.",
    "On the documentation page: how to add, use and remove the app, and what happens to data then.",
    "Evidence: secure development life cycle, static and dynamic analysis, penetration test.",
    "Categories, verticals and market segments; trader details where the app is offered in the European Union.",
    "Activation: at once, or by hand.",
];
