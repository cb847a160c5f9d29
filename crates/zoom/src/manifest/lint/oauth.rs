//! `oauth_information`: where the browser comes back, and what the app may do.

use std::collections::BTreeSet;

use super::super::scopes::{self, BOT, ScopeFault};
use super::super::{Manifest, OauthInformation, Usage};
use super::{Findings, filled};

pub(super) fn lint(manifest: &Manifest, findings: &mut Findings) {
    let oauth = &manifest.oauth_information;
    if oauth.usage.is_none() {
        findings.add(
            "oauth_information.usage",
            "it does not say who authorizes the app",
            "write USER_OPERATION or ADMIN_MANAGEMENT",
        );
    }
    redirects(oauth, findings);
    scopes(manifest, findings);
}

fn redirects(oauth: &OauthInformation, findings: &mut Findings) {
    let redirects = [
        (
            "development_redirect_uri",
            oauth.development_redirect_uri.as_deref(),
        ),
        (
            "production_redirect_uri",
            oauth.production_redirect_uri.as_deref(),
        ),
    ];
    for (field, uri) in redirects {
        let path = format!("oauth_information.{field}");
        findings.needed_url(
            &path,
            uri,
            "a redirect URI",
            "write the region's callback, such as https://zoom.eu.example.com/oauth/callback",
        );
        // Compared byte by byte, as Zoom does.
        if let Some(uri) = filled(uri)
            && !oauth.oauth_allow_list.iter().any(|entry| entry == uri)
        {
            findings.add(
                path,
                "oauth_allow_list does not hold it: the consent page would refuse it with error 4700",
                "add the same text to oauth_allow_list",
            );
        }
    }
    for (index, entry) in oauth.oauth_allow_list.iter().enumerate() {
        if !redirects.iter().any(|(_, uri)| *uri == Some(entry)) {
            findings.add(
                format!("oauth_information.oauth_allow_list[{index}]"),
                "it is none of the app's redirect URIs, and the review wants the list minimal",
                "remove it, or make it the whole redirect URI",
            );
        }
    }
    for (field, on, what) in [
        (
            "strict_mode",
            oauth.strict_mode,
            "longer URIs with the same beginning",
        ),
        (
            "subdomain_strict_mode",
            oauth.subdomain_strict_mode,
            "other sub-domains",
        ),
    ] {
        if on != Some(true) {
            findings.add(
                format!("oauth_information.{field}"),
                format!("it is off: codes may be sent to {what}"),
                "write true",
            );
        }
    }
}

fn scopes(manifest: &Manifest, findings: &mut Findings) {
    let oauth = &manifest.oauth_information;
    let list = "oauth_information.scopes";
    if oauth.scopes.is_empty() {
        findings.add(
            list,
            "it is empty: Zoom takes that, and the app may do nothing",
            "list the scopes that the app needs",
        );
    } else if oauth.scopes.iter().all(|entry| entry.optional) {
        findings.add(
            list,
            "every scope is optional: Zoom wants one at least that is not",
            "make what the app cannot do without required",
        );
    }
    let mut seen = BTreeSet::new();
    for (index, entry) in oauth.scopes.iter().enumerate() {
        let path = format!("{list}[{index}].scope");
        if !seen.insert(entry.scope.as_str()) {
            findings.add(path.clone(), "it is listed twice", "list each scope once");
        }
        let Some(usage) = oauth.usage else {
            continue;
        };
        match scopes::fault(&entry.scope, usage) {
            None => {}
            Some(ScopeFault::Classic) => findings.add(
                path,
                "it is a classic scope: apps with manifests have granular ones",
                "write the granular scope, such as cloud_recording:read:recording",
            ),
            Some(ScopeFault::AppOwned) => findings.add(
                path,
                "every app has it by itself, and a manifest may not list it",
                "remove it",
            ),
            Some(ScopeFault::NeedsAdminManaged) => findings.add(
                path,
                "only an admin-managed app may have it",
                "write the scope without :admin, or make the app ADMIN_MANAGEMENT",
            ),
            Some(ScopeFault::NeedsUserManaged) => findings.add(
                path,
                "an admin-managed app has scopes that end with :admin",
                "write the scope with :admin, or make the app USER_OPERATION",
            ),
        }
    }
    let chat = manifest
        .features
        .team_chat_subscription
        .as_ref()
        .is_some_and(|chat| chat.enable);
    match (chat, seen.contains(BOT)) {
        (true, false) => findings.add(
            list,
            "the bot is on, and its scope imchat:bot is missing",
            "add imchat:bot, and make the app ADMIN_MANAGEMENT",
        ),
        (false, true) => findings.add(
            list,
            "imchat:bot is there, and no bot is on: unused scopes are a reason to be rejected",
            "remove it, or switch team_chat_subscription on",
        ),
        _ => {}
    }
    let admin = oauth.usage == Some(Usage::AdminManagement);
    if chat && !admin {
        findings.add(
            "oauth_information.usage",
            "Zoom takes a bot only in an admin-managed app",
            "give the bot an app of its own with ADMIN_MANAGEMENT",
        );
    }
}
