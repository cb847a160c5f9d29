//! What is the same in all regions: image, apps, scopes, events, Zoom's addresses. What most have is right.

use std::collections::BTreeSet;

use crate::document::Document;
use crate::file::{EventReceiver, MarketplaceApp, RegionFile};
use crate::finding::{Finding, Related};
use crate::rule::Rule;

pub(super) fn check(documents: &[Document], findings: &mut Vec<Finding>) {
    let mut alike = Alike { documents, findings };
    alike.compare(Rule::ImageDigest, "deployment.imageDigest", |file| {
        file.deployment.image_digest.clone()
    });
    alike.compare(Rule::AppsDiffer, "zoom.apps", |file| {
        let names: Vec<_> = file
            .zoom
            .apps
            .named()
            .map(|(name, app)| format!("{name}{}", if app.chat.is_some() { " with chat" } else { "" }))
            .collect();
        names.join(", ")
    });
    for name in ["linking", "bot"] {
        let path = format!("zoom.apps.{name}");
        alike.compare_app(Rule::AppsDiffer, name, &format!("{path}.usage"), |app| {
            format!("{:?}", app.usage)
        });
        alike.compare_app(Rule::AppsDiffer, name, &format!("{path}.products"), |app| {
            let products: BTreeSet<_> = app.products.iter().map(|it| format!("{it:?}")).collect();
            joined(products)
        });
        alike.compare_app(Rule::ScopesDiffer, name, &format!("{path}.scopes"), |app| {
            let scopes = app.scopes.iter();
            joined(scopes.map(|it| format!("{}{}", it.scope, if it.optional { " (optional)" } else { "" })))
        });
        alike.compare_app(Rule::EventsDiffer, name, &format!("{path}.events"), |app| {
            let events = app.events.iter().flat_map(|subscription| {
                let whose = match subscription.receiver {
                    EventReceiver::User => "users",
                    EventReceiver::Account => "the account",
                };
                subscription
                    .types
                    .iter()
                    .map(move |event| format!("{event} of {whose}"))
            });
            joined(events)
        });
    }
    for (path, of) in [
        (
            "zoom.oauthUrl",
            (|file| file.zoom.oauth_url.clone()) as fn(&RegionFile) -> String,
        ),
        ("zoom.apiUrl", |file| file.zoom.api_url.clone()),
        ("zoom.hosts", |file| joined(file.zoom.hosts.iter().cloned())),
        ("zoom.calls", |file| match &file.zoom.calls {
            None => "those of the default".to_owned(),
            Some(calls) => joined(calls.iter().cloned()),
        }),
    ] {
        alike.compare(Rule::ZoomDiffers, path, of);
    }
}

fn joined(parts: impl IntoIterator<Item = String>) -> String {
    let parts: BTreeSet<_> = parts.into_iter().collect();
    if parts.is_empty() {
        return "none".to_owned();
    }
    parts.into_iter().collect::<Vec<_>>().join(", ")
}

struct Alike<'a> {
    documents: &'a [Document],
    findings: &'a mut Vec<Finding>,
}

impl Alike<'_> {
    fn compare(&mut self, rule: Rule, path: &str, of: impl Fn(&RegionFile) -> String) {
        self.compare_some(rule, path, |file| Some(of(file)));
    }

    fn compare_app(&mut self, rule: Rule, name: &str, path: &str, of: impl Fn(&MarketplaceApp) -> String) {
        self.compare_some(rule, path, |file| {
            let mut apps = file.zoom.apps.named();
            apps.find(|(its_name, _)| *its_name == name)
                .map(|(_, app)| of(app))
        });
    }

    /// Compares those that have it: the value of most is right, and of as many the first's.
    fn compare_some(&mut self, rule: Rule, path: &str, of: impl Fn(&RegionFile) -> Option<String>) {
        let values: Vec<_> = self
            .documents
            .iter()
            .filter_map(|document| of(&document.file).map(|value| (document, value)))
            .collect();
        let count = |value: &str| values.iter().filter(|(_, other)| other == value).count();
        let most = values.iter().map(|(_, value)| count(value)).max();
        let Some((model, right)) = values.iter().find(|(_, value)| Some(count(value)) == most) else {
            return;
        };
        for (document, value) in values.iter().filter(|(_, value)| value != right) {
            let reason = format!("it is {value}, but in {} it is {right}", model.name);
            let remedy = format!("make them the same, or state an exception from {rule}");
            self.findings.push(Finding {
                file: document.name.clone(),
                related: Some(Related {
                    file: model.name.clone(),
                    path: path.to_owned(),
                    line: None,
                }),
                ..Finding::new(rule, path, reason, remedy)
            });
        }
    }
}
