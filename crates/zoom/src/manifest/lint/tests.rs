use serde_json::{Value, json};

use super::super::Manifest;
use super::lint;

/// An admin-managed app with a bot and events, without a fault.
fn good() -> Value {
    let callback = "https://zoom.eu.example.com/oauth/callback";
    json!({
        "display_information": {
            "display_name": "Recap EU", "description": "Recordings for Recap.", "long_description": "Long.",
            "company_name": "Example Ltd", "discover_type": "UNLISTED", "install_type": "LANDING_PAGE",
            "install_landing_url": "https://zoom.eu.example.com/install",
            "privacy_url": "https://example.com/privacy", "terms_url": "https://example.com/terms",
            "support_url": "https://example.com/support", "doc_url": "https://example.com/docs"
        },
        "oauth_information": {
            "usage": "ADMIN_MANAGEMENT", "development_redirect_uri": callback, "production_redirect_uri": callback,
            "oauth_allow_list": [callback], "strict_mode": true, "subdomain_strict_mode": true,
            "scopes": [
                { "scope": "imchat:bot", "optional": false },
                { "scope": "cloud_recording:read:recording:admin", "optional": true },
            ]
        },
        "features": {
            "products": ["ZOOM_CHAT", "ZOOM_MEETING"],
            "domain_allow_list": [{ "domain": "zoom.eu.example.com", "explanation": "The region's pages." }],
            "team_chat_subscription": { "enable": true, "slash_command": {
                "command": "recap", "command_hints": [{ "description": "Help", "usage_hint": "help" }],
                "development_message_url": "https://zoom.eu.example.com/zoom/bot",
                "production_message_url": "https://zoom.eu.example.com/zoom/bot", "sender_type": "zoom"
            } },
            "event_subscription": { "enable": true, "events": [{
                "subscription_name": "core", "event_usage": "EVENT_FOR_ADMIN",
                "event_types": ["recording.completed", "app_deauthorized"],
                "development_webhook_url": "https://zoom.eu.example.com/zoom/events",
                "production_webhook_url": "https://zoom.eu.example.com/zoom/events"
            }] }
        }
    })
}

fn paths(manifest: &Value) -> Vec<String> {
    let manifest = Manifest::from_value(manifest).unwrap();
    lint(&manifest).into_iter().map(|finding| finding.path).collect()
}

#[test]
fn the_good_manifest_gives_nothing() {
    assert_eq!(paths(&good()), [""; 0]);
}

#[test]
fn a_user_managed_app_without_a_bot_gives_nothing() {
    let mut manifest = good();
    manifest["oauth_information"]["usage"] = json!("USER_OPERATION");
    manifest["oauth_information"]["scopes"] =
        json!([{ "scope": "cloud_recording:read:recording", "optional": false }]);
    manifest["features"]["products"] = json!(["ZOOM_MEETING"]);
    manifest["features"]["team_chat_subscription"] = json!({ "enable": false });
    manifest["features"]["event_subscription"]["events"][0]["event_usage"] = json!("EVENT_FOR_USER");
    assert_eq!(paths(&manifest), [""; 0]);
}

/// One way to break each rule: where, with what, and at which paths it is found.
#[test]
fn every_rule_finds_its_breach_and_nothing_else() {
    const CHAT: &str = "/features/team_chat_subscription";
    const SLASH: &str = "features.team_chat_subscription.slash_command";
    let long = "x".repeat(200);
    let other = "https://zoom.us.example.com/x";
    let scopes = |list: &[(&str, bool)]| {
        list.iter()
            .map(|(scope, optional)| json!({ "scope": scope, "optional": optional }))
            .collect::<Value>()
    };
    let recording = ("cloud_recording:read:recording:admin", true);
    let list = "oauth_information.scopes";
    let breaches: Vec<(&str, Value, Vec<&str>)> = vec![
        (
            "/display_information/display_name",
            json!(""),
            vec!["display_information.display_name"],
        ),
        (
            "/display_information/display_name",
            json!("x".repeat(50)),
            vec!["display_information.display_name"],
        ),
        (
            "/display_information/description",
            json!(long),
            vec!["display_information.description"],
        ),
        (
            "/display_information/long_description",
            json!(" "),
            vec!["display_information.long_description"],
        ),
        (
            "/display_information/company_name",
            json!(long),
            vec!["display_information.company_name"],
        ),
        (
            "/display_information/discover_type",
            json!("HIDDEN"),
            vec!["display_information.discover_type"],
        ),
        (
            "/display_information/install_type",
            json!("EMAIL"),
            vec!["display_information.install_type"],
        ),
        (
            "/display_information/install_landing_url",
            json!(null),
            vec!["display_information.install_landing_url"],
        ),
        (
            "/display_information/install_landing_url",
            json!(other),
            vec!["display_information.install_landing_url"],
        ),
        (
            "/display_information/privacy_url",
            json!("http://example.com/"),
            vec!["display_information.privacy_url"],
        ),
        (
            "/display_information/terms_url",
            json!("https://localhost/"),
            vec!["display_information.terms_url"],
        ),
        (
            "/display_information/support_url",
            json!("https://10.1.2.3/"),
            vec!["display_information.support_url"],
        ),
        (
            "/display_information/doc_url",
            json!("https://a:b@example.com/"),
            vec!["display_information.doc_url"],
        ),
        (
            "/oauth_information/usage",
            json!(null),
            vec!["oauth_information.usage", "oauth_information.usage"],
        ),
        (
            "/oauth_information/usage",
            json!("USER_OPERATION"),
            vec![
                "oauth_information.scopes[0].scope",
                "oauth_information.scopes[1].scope",
                "oauth_information.usage",
            ],
        ),
        (
            "/oauth_information/development_redirect_uri",
            json!("https://zoom.eu.example.com/OAuth/callback"),
            vec!["oauth_information.development_redirect_uri"],
        ),
        (
            "/oauth_information/production_redirect_uri",
            json!(""),
            vec!["oauth_information.production_redirect_uri"],
        ),
        (
            "/oauth_information/oauth_allow_list",
            json!([]),
            vec![
                "oauth_information.development_redirect_uri",
                "oauth_information.production_redirect_uri",
            ],
        ),
        (
            "/oauth_information/oauth_allow_list",
            json!([
                "https://zoom.eu.example.com/oauth/callback",
                "https://zoom.eu.example.com"
            ]),
            vec!["oauth_information.oauth_allow_list[1]"],
        ),
        (
            "/oauth_information/strict_mode",
            json!(false),
            vec!["oauth_information.strict_mode"],
        ),
        (
            "/oauth_information/subdomain_strict_mode",
            json!(null),
            vec!["oauth_information.subdomain_strict_mode"],
        ),
        (
            "/oauth_information/scopes",
            scopes(&[("imchat:bot", true), recording]),
            vec![list],
        ),
        (
            "/oauth_information/scopes",
            json!([]),
            vec![list, list, "features.event_subscription.events[0].event_types[0]"],
        ),
        (
            "/oauth_information/scopes",
            scopes(&[("imchat:bot", false), recording, recording]),
            vec!["oauth_information.scopes[2].scope"],
        ),
        (
            "/oauth_information/scopes",
            scopes(&[("imchat:bot", false), recording, ("user:read:admin", true)]),
            vec!["oauth_information.scopes[2].scope"],
        ),
        (
            "/oauth_information/scopes",
            scopes(&[
                ("imchat:bot", false),
                recording,
                ("marketplace:write:event_subscription", true),
            ]),
            vec!["oauth_information.scopes[2].scope"],
        ),
        (
            "/oauth_information/scopes",
            scopes(&[(recording.0, false)]),
            vec![list],
        ),
        (
            "/features/team_chat_subscription/enable",
            json!(false),
            vec![list],
        ),
        (
            "/features/products",
            json!(["ZOOM_CHAT", "ZOOM_TEA"]),
            vec!["features.products[1]"],
        ),
        (
            "/features/products",
            json!(["ZOOM_MEETING"]),
            vec!["features.products"],
        ),
        (
            "/features/products",
            json!([]),
            vec![
                "features.products",
                "features.domain_allow_list",
                "features.products",
            ],
        ),
        (
            "/features/domain_allow_list/0/domain",
            json!("https://zoom.eu.example.com"),
            vec!["features.domain_allow_list[0].domain"],
        ),
        (
            "/features/domain_allow_list/0/explanation",
            json!(""),
            vec!["features.domain_allow_list[0].explanation"],
        ),
        (CHAT, json!({ "enable": true }), vec![SLASH]),
        (
            "/features/team_chat_subscription/slash_command/command",
            json!("/recap"),
            vec!["features.team_chat_subscription.slash_command.command"],
        ),
        (
            "/features/team_chat_subscription/slash_command/command_hints/0/usage_hint",
            json!(""),
            vec!["features.team_chat_subscription.slash_command.command_hints[0]"],
        ),
        (
            "/features/team_chat_subscription/slash_command/development_message_url",
            json!(""),
            vec!["features.team_chat_subscription.slash_command.development_message_url"],
        ),
        (
            "/features/team_chat_subscription/slash_command/production_message_url",
            json!(other),
            vec!["features.team_chat_subscription.slash_command.production_message_url"],
        ),
        (
            "/features/team_chat_subscription/slash_command/sender_type",
            json!("bot"),
            vec!["features.team_chat_subscription.slash_command.sender_type"],
        ),
        (
            "/features/event_subscription/enable",
            json!(false),
            vec!["features.event_subscription.enable"],
        ),
        (
            "/features/event_subscription/events",
            json!([]),
            vec!["features.event_subscription.events"],
        ),
        (
            "/features/event_subscription/events/0/subscription_name",
            json!(""),
            vec!["features.event_subscription.events[0].subscription_name"],
        ),
        (
            "/features/event_subscription/events/0/event_usage",
            json!(null),
            vec!["features.event_subscription.events[0].event_usage"],
        ),
        (
            "/features/event_subscription/events/0/event_types",
            json!([]),
            vec!["features.event_subscription.events[0].event_types"],
        ),
        (
            "/features/event_subscription/events/0/event_types/1",
            json!("meeting.ended"),
            vec!["features.event_subscription.events[0].event_types[1]"],
        ),
        (
            "/features/event_subscription/events/0/event_types/1",
            json!("meeting.rtms_started"),
            vec!["features.event_subscription.events[0].event_types[1]"],
        ),
        (
            "/features/event_subscription/events/0/development_webhook_url",
            json!("http://zoom.eu.example.com/zoom/events"),
            vec!["features.event_subscription.events[0].development_webhook_url"],
        ),
        (
            "/features/event_subscription/events/0/production_webhook_url",
            json!(other),
            vec!["features.event_subscription.events[0].production_webhook_url"],
        ),
    ];
    for (pointer, value, expected) in breaches {
        let mut manifest = good();
        match manifest.pointer_mut(pointer) {
            Some(place) => *place = value.clone(),
            None => panic!("{pointer} is not in the good manifest"),
        }
        assert_eq!(paths(&manifest), expected, "{pointer} = {value}");
    }
}

#[test]
fn more_than_twenty_subscriptions_and_two_of_one_name_are_found() {
    let mut manifest = good();
    let event = manifest["features"]["event_subscription"]["events"][0].clone();
    let named = |number: usize| {
        let mut event = event.clone();
        event["subscription_name"] = json!(format!("s{number}"));
        event
    };
    manifest["features"]["event_subscription"]["events"] = (0..21).map(named).collect();
    assert_eq!(paths(&manifest), ["features.event_subscription.events"]);
    manifest["features"]["event_subscription"]["events"] = json!([named(1), named(1)]);
    assert_eq!(
        paths(&manifest),
        ["features.event_subscription.events[1].subscription_name"]
    );
}

#[test]
fn each_finding_reads_as_path_reason_and_remedy() {
    let mut manifest = good();
    manifest["oauth_information"]["strict_mode"] = json!(false);
    let found = lint(&Manifest::from_value(&manifest).unwrap());
    assert_eq!(
        found[0].to_string(),
        "oauth_information.strict_mode: it is off: codes may be sent to longer URIs with the same beginning; write true"
    );
}
