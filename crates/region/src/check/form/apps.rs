//! The form of `zoom`.

use std::collections::BTreeSet;

use super::Finder;
use super::values::{is_host, is_plain, is_url};
use crate::file::{Chat, Listing, MarketplaceApp, Zoom};
use crate::rule::Rule;

/// Zoom refuses a name of 50 characters or more, and cuts a description at 150.
const MAX_NAME: usize = 49;
const MAX_DESCRIPTION: usize = 150;
/// So many subscriptions one app may have.
const MAX_SUBSCRIPTIONS: usize = 20;

pub(super) fn check(finder: &mut Finder<'_>, zoom: &Zoom) {
    for (path, url) in [("zoom.oauthUrl", &zoom.oauth_url), ("zoom.apiUrl", &zoom.api_url)] {
        if !is_url(url) {
            finder.value(path, "it is no https URL", "write such as https://zoom.us");
        }
    }
    if zoom.hosts.is_empty() {
        finder.value("zoom.hosts", "it is empty", "write [zoom.us]");
    }
    for (index, host) in zoom.hosts.iter().enumerate() {
        if !is_host(host) {
            finder.value(
                format!("zoom.hosts[{index}]"),
                "it is no host",
                "write such as zoom.us",
            );
        }
    }
    for (index, call) in zoom.calls.iter().flatten().enumerate() {
        let formed = call.split_once(' ').is_some_and(|(method, path)| {
            method.bytes().all(|b| b.is_ascii_uppercase()) && path.starts_with('/') && is_plain(path)
        });
        if !formed || call.contains(',') {
            finder.value(
                format!("zoom.calls[{index}]"),
                "it is no call",
                "write such as GET /users/{userId}",
            );
        }
    }
    listing(finder, &zoom.listing);
    for (name, app) in zoom.apps.named() {
        marketplace_app(finder, &format!("zoom.apps.{name}"), app);
    }
    match (&zoom.apps.linking.chat, &zoom.apps.bot) {
        (Some(_), Some(_)) => finder.find(
            Rule::Contradiction,
            "zoom.apps.linking.chat",
            "the bot has an app of its own",
            "describe the bot in one of the two apps",
        ),
        (_, Some(bot)) if bot.chat.is_none() => finder.find(
            Rule::Contradiction,
            "zoom.apps.bot",
            "it has no chat, so it is no bot's app",
            "describe the bot under chat, or remove the app",
        ),
        _ => {}
    }
}

fn listing(finder: &mut Finder<'_>, listing: &Listing) {
    for (path, url) in [
        ("zoom.listing.privacyUrl", &listing.privacy_url),
        ("zoom.listing.termsUrl", &listing.terms_url),
        ("zoom.listing.supportUrl", &listing.support_url),
        ("zoom.listing.documentationUrl", &listing.documentation_url),
    ] {
        if !is_url(url) {
            finder.value(path, "it is no https URL", "write the address of the page");
        }
    }
    for (path, text) in [
        ("zoom.listing.companyName", &listing.company_name),
        ("zoom.listing.contactName", &listing.contact_name),
        ("zoom.listing.contactEmail", &listing.contact_email),
    ] {
        if text.chars().count() > 150 {
            finder.value(path, "it has more than 150 characters", "shorten it");
        }
    }
    let is_mailbox = listing
        .contact_email
        .split_once('@')
        .is_some_and(|(name, host)| is_plain(name) && is_host(host));
    if !is_mailbox {
        finder.value(
            "zoom.listing.contactEmail",
            "it is no e-mail address",
            "write a mailbox that is read",
        );
    }
}

fn marketplace_app(finder: &mut Finder<'_>, path: &str, app: &MarketplaceApp) {
    let words = app.chat.as_ref().and_then(|chat| chat.words.as_ref());
    for fault in words.iter().flat_map(|words| words.faults()) {
        finder.value(
            format!("{path}.chat.words.{}", fault.path),
            &format!("it {}", fault.fault),
            "mend it, or leave it out for the default",
        );
    }
    let mut ids = vec![("appId", &app.app_id), ("clientId", &app.client_id)];
    ids.extend(
        app.development
            .as_ref()
            .map(|it| ("development.clientId", &it.client_id)),
    );
    for (field, id) in ids {
        if !is_plain(id) || id.len() > 100 {
            finder.value(
                format!("{path}.{field}"),
                "it is no id",
                "copy it from the app's page at the Marketplace",
            );
        }
    }
    for (field, text, most) in [
        ("name", &app.name, MAX_NAME),
        ("description", &app.description, MAX_DESCRIPTION),
    ] {
        if text.chars().count() > most {
            finder.value(
                format!("{path}.{field}"),
                &format!("it has more than {most} characters, which Zoom refuses"),
                "shorten it",
            );
        }
    }
    let mut urls = vec![
        ("redirectUrl", &app.redirect_url),
        ("installUrl", &app.install_url),
        ("eventsUrl", &app.events_url),
    ];
    urls.extend(
        app.chat
            .as_ref()
            .map(|chat| ("chat.messageUrl", &chat.message_url)),
    );
    urls.extend(
        app.development
            .as_ref()
            .map(|it| ("development.publicUrl", &it.public_url)),
    );
    for (field, url) in urls {
        if !is_url(url) {
            finder.value(
                format!("{path}.{field}"),
                "it is no https URL",
                "write such as https://zoom.eu.example.com/install",
            );
        }
    }
    if app.webhook_authorization.is_some() && app.webhook_header.is_some() {
        finder.find(
            Rule::Contradiction,
            format!("{path}.webhookHeader"),
            "webhookAuthorization is there too, and a subscription at Zoom adds one header",
            "keep one of the two",
        );
    }
    scopes(finder, path, app);
    events(finder, path, app);
    if let Some(chat) = &app.chat {
        bot(finder, &format!("{path}.chat"), chat);
    }
}

fn scopes(finder: &mut Finder<'_>, path: &str, app: &MarketplaceApp) {
    if app.scopes.iter().all(|scope| scope.optional) {
        finder.value(
            format!("{path}.scopes"),
            "it holds no scope that is needed",
            "list the scopes, at least one of them not optional",
        );
    }
    let mut seen = BTreeSet::new();
    for (index, scope) in app.scopes.iter().enumerate() {
        if !is_plain(&scope.scope) || !scope.scope.contains(':') {
            finder.value(
                format!("{path}.scopes[{index}].scope"),
                "it is no granular scope",
                "write such as user:read:user",
            );
        }
        if !seen.insert(&scope.scope) {
            finder.value(
                format!("{path}.scopes[{index}].scope"),
                "it is listed twice",
                "list it once",
            );
        }
    }
}

fn events(finder: &mut Finder<'_>, path: &str, app: &MarketplaceApp) {
    if app.events.len() > MAX_SUBSCRIPTIONS {
        finder.value(
            format!("{path}.events"),
            "it has more than 20 subscriptions, which Zoom refuses",
            "put events together",
        );
    }
    let mut names = BTreeSet::new();
    for (index, subscription) in app.events.iter().enumerate() {
        let path = format!("{path}.events[{index}]");
        if !names.insert(&subscription.name) {
            finder.value(
                format!("{path}.name"),
                "another subscription has this name",
                "name it apart",
            );
        }
        if subscription.types.is_empty() {
            finder.value(
                format!("{path}.types"),
                "it is empty",
                "list events, or remove the subscription",
            );
        }
        let mut types = BTreeSet::new();
        for (at, event) in subscription.types.iter().enumerate() {
            if !is_plain(event) || !types.insert(event) {
                finder.value(
                    format!("{path}.types[{at}]"),
                    "it is no name of an event, or is listed twice",
                    "write such as recording.completed, once",
                );
            }
        }
    }
}

fn bot(finder: &mut Finder<'_>, path: &str, chat: &Chat) {
    let is_jid = chat.robot_jid.split_once('@').is_some_and(|(robot, host)| {
        is_plain(robot) && !robot.contains('/') && is_host(host) && chat.robot_jid.len() <= 256
    });
    if !is_jid {
        finder.value(
            format!("{path}.robotJid"),
            "it is no robot JID",
            "copy it from the app's Zoom Chat page, such as v1abc@xmpp.zoom.us",
        );
    }
    let command = &chat.slash_command.command;
    let formed = (1..=50).contains(&command.len())
        && command
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if !formed {
        finder.value(
            format!("{path}.slashCommand.command"),
            "it is no slash command",
            "write a word of lower-case letters, digits, '-' and '_', without the slash",
        );
    }
}
