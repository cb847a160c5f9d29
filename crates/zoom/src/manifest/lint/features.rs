//! `features`: where the app appears, and its bot.

use super::super::{ChatSubscription, Manifest};
use super::{Findings, filled};

const PRODUCTS: [&str; 8] = [
    "ZOOM_MEETING",
    "ZOOM_CHAT",
    "ZOOM_PHONE",
    "ZOOM_ROOM",
    "ZOOM_WEBINAR",
    "ZOOM_CONTACT_CENTER",
    "ZOOM_WHITEBOARD",
    "ZOOM_EVENTS",
];

pub(super) fn lint(manifest: &Manifest, findings: &mut Findings) {
    let features = &manifest.features;
    if features.products.is_empty() {
        findings.add(
            "features.products",
            "it is empty: Zoom's pages require one, though its validator does not",
            "list the products in which the app appears, such as ZOOM_MEETING",
        );
    }
    for (index, product) in features.products.iter().enumerate() {
        if !PRODUCTS.contains(&product.as_str()) {
            findings.add(
                format!("features.products[{index}]"),
                "Zoom has no such product",
                "write one of Zoom's values, such as ZOOM_CHAT",
            );
        }
    }
    domains(manifest, findings);
    if let Some(chat) = features
        .team_chat_subscription
        .as_ref()
        .filter(|chat| chat.enable)
    {
        if !features.products.iter().any(|product| product == "ZOOM_CHAT") {
            findings.add(
                "features.products",
                "a bot is on, and ZOOM_CHAT is missing",
                "add ZOOM_CHAT",
            );
        }
        bot(chat, findings);
    }
}

fn domains(manifest: &Manifest, findings: &mut Findings) {
    let features = &manifest.features;
    let list = "features.domain_allow_list";
    if features.products.is_empty() && !features.domain_allow_list.is_empty() {
        findings.add(list, "Zoom refuses it where products is empty", "list a product");
    }
    for (index, entry) in features.domain_allow_list.iter().enumerate() {
        let plain = entry.domain.contains('.')
            && entry.domain.split('.').all(|label| {
                !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            });
        if !plain {
            findings.add(
                format!("{list}[{index}].domain"),
                "it is no domain name",
                "write the name alone, such as zoom.eu.example.com",
            );
        }
        if entry.explanation.trim().is_empty() {
            findings.add(
                format!("{list}[{index}].explanation"),
                "it is empty, and the review asks why the domain is listed",
                "say what the Zoom client opens there",
            );
        }
    }
}

fn bot(chat: &ChatSubscription, findings: &mut Findings) {
    let path = "features.team_chat_subscription.slash_command";
    let Some(slash) = &chat.slash_command else {
        findings.add(
            path,
            "the bot is on and has no command",
            "give it a command and its endpoints",
        );
        return;
    };
    let plain = slash
        .command
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
    if slash.command.is_empty() || !plain {
        findings.add(
            format!("{path}.command"),
            "it is no command",
            "write the word without its slash, in a-z, 0-9, - and _, such as recap",
        );
    }
    for (index, hint) in slash.command_hints.iter().enumerate() {
        if hint.usage_hint.trim().is_empty() || hint.description.trim().is_empty() {
            findings.add(
                format!("{path}.command_hints[{index}]"),
                "the hint says nothing",
                "write what to type and what it does",
            );
        }
    }
    for (field, url) in [
        ("development_message_url", &slash.development_message_url),
        ("production_message_url", &slash.production_message_url),
    ] {
        findings.needed_url(
            &format!("{path}.{field}"),
            url.as_deref(),
            "the bot's endpoint",
            "write the region's bot endpoint, such as https://zoom.eu.example.com/zoom/bot",
        );
    }
    if filled(slash.sender_type.as_deref()) != Some("zoom") {
        findings.add(
            format!("{path}.sender_type"),
            "it is not zoom, the one value that is known",
            "write zoom",
        );
    }
}
