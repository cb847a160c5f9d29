//! `features.event_subscription`: what Zoom tells, and where.

use std::collections::BTreeSet;

use super::super::scopes::{EventNeeds, event_needs, plain};
use super::super::{EventEntry, Manifest};
use super::{Findings, filled};

/// Zoom's limit for an app.
const SUBSCRIPTIONS: usize = 20;

pub(super) fn lint(manifest: &Manifest, findings: &mut Findings) {
    let Some(subscription) = &manifest.features.event_subscription else {
        return;
    };
    let path = "features.event_subscription";
    match (subscription.enable, subscription.events.is_empty()) {
        (true, true) => findings.add(
            format!("{path}.events"),
            "events are on, and none is subscribed to",
            "list a subscription, or switch enable off",
        ),
        (false, false) => findings.add(
            format!("{path}.enable"),
            "it is off: none of the events below is sent",
            "write true, or remove the subscriptions",
        ),
        _ => {}
    }
    if subscription.events.len() > SUBSCRIPTIONS {
        findings.add(
            format!("{path}.events"),
            format!("there are {} subscriptions", subscription.events.len()),
            "Zoom takes 20 at most; put more events into one",
        );
    }
    let granted: BTreeSet<&str> = manifest
        .oauth_information
        .scopes
        .iter()
        .map(|entry| plain(&entry.scope))
        .collect();
    let mut names = BTreeSet::new();
    for (index, event) in subscription.events.iter().enumerate() {
        let path = format!("{path}.events[{index}]");
        let name = filled(event.subscription_name.as_deref()).unwrap_or_default();
        if name.is_empty() || !names.insert(name) {
            findings.add(
                format!("{path}.subscription_name"),
                "the subscription has no name of its own",
                "give each subscription a name that no other has",
            );
        }
        entry(&path, event, &granted, findings);
    }
}

fn entry(path: &str, event: &EventEntry, granted: &BTreeSet<&str>, findings: &mut Findings) {
    if event.event_usage.is_none() {
        findings.add(
            format!("{path}.event_usage"),
            "it does not say whose events are meant",
            "write EVENT_FOR_USER or EVENT_FOR_ADMIN",
        );
    }
    if event.event_types.is_empty() {
        findings.add(
            format!("{path}.event_types"),
            "the subscription has no event",
            "list the names of events, such as recording.completed",
        );
    }
    for (index, name) in event.event_types.iter().enumerate() {
        let path = format!("{path}.event_types[{index}]");
        match event_needs(name) {
            EventNeeds::Nothing | EventNeeds::NotKnown => {}
            EventNeeds::Scope(scope) if granted.contains(scope) => {}
            EventNeeds::Scope(scope) => findings.add(
                path,
                format!("{name} needs the scope {scope}, which the app has not"),
                "add the scope, with :admin in an admin-managed app, or remove the event",
            ),
            EventNeeds::Refused => findings.add(
                path,
                format!("Zoom's validator refuses {name}, and an update saves it all the same"),
                "remove it, and choose it in the build flow if it is needed",
            ),
        }
    }
    for (field, url) in [
        ("development_webhook_url", &event.development_webhook_url),
        ("production_webhook_url", &event.production_webhook_url),
    ] {
        findings.needed_url(
            &format!("{path}.{field}"),
            url.as_deref(),
            "the endpoint",
            "write the region's endpoint, such as https://zoom.eu.example.com/zoom/events",
        );
    }
}
