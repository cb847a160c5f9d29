//! The validator, as lenient as Zoom's. It does not look whether redirect URIs are URLs or in the allow list, tolerates
//! duplicates and members that it does not know, and refuses real-time media events that a put saves.

use serde::Serialize;
use serde_json::Value;

use crate::model::app::Usage;

/// One fault, in Zoom's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    pub setting: String,
    pub message: String,
}

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
const BUSINESS_LINES: [&str; 5] = ["marketing", "humanResources", "engineering", "finance", "other"];
const NAME_LIMIT: usize = 50;
const SUBSCRIPTIONS: usize = 20;

struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, setting: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault {
            setting: setting.into(),
            message: message.into(),
        });
    }

    fn one_of(&mut self, setting: String, value: Option<&Value>, known: &[&str]) {
        match value.filter(|value| !is_blank(Some(value))) {
            Some(Value::String(text)) if known.contains(&text.as_str()) => {}
            None => {}
            Some(_) => self.add(setting, format!("must be one of {}", known.join(", "))),
        }
    }
}

/// Everything that the validator finds. `command_is_taken` says whether another app of the account has the slash command;
/// a put saves real-time media events that validate and create refuse.
pub(crate) fn validate(
    manifest: &Value,
    command_is_taken: impl Fn(&str) -> bool,
    saves_rtms: bool,
) -> Vec<Fault> {
    let mut faults = Faults(Vec::new());
    if !manifest.is_object() {
        faults.add("/", "manifest must be an object");
        return faults.0;
    }
    display(manifest, &mut faults);
    let usage = oauth(manifest, &mut faults);
    features(manifest, &mut faults);
    chat(manifest, command_is_taken, &mut faults);
    events(manifest, usage, saves_rtms, &mut faults);
    faults.0
}

fn display(manifest: &Value, faults: &mut Faults) {
    let section = "/display_information";
    let display = &manifest["display_information"];
    match display["display_name"].as_str() {
        Some(name) if !name.is_empty() && name.chars().count() < NAME_LIMIT => {}
        _ => faults.add(
            format!("{section}/display_name"),
            "display_name is required and must be less than 50 characters",
        ),
    }
    faults.one_of(
        format!("{section}/discover_type"),
        display.get("discover_type"),
        &["LISTED", "UNLISTED"],
    );
    faults.one_of(
        format!("{section}/install_type"),
        display.get("install_type"),
        &["APP_DIRECTORY", "LANDING_PAGE"],
    );
    if display["install_type"] == "LANDING_PAGE" && is_blank(display.get("install_landing_url")) {
        faults.add(
            format!("{section}/install_landing_url"),
            "install_landing_url is required for LANDING_PAGE",
        );
    }
    for (index, line) in list(&display["business_lines"]).iter().enumerate() {
        faults.one_of(
            format!("{section}/business_lines[{index}]"),
            Some(line),
            &BUSINESS_LINES,
        );
    }
}

fn oauth(manifest: &Value, faults: &mut Faults) -> Option<Usage> {
    let section = "/oauth_information";
    let oauth = &manifest["oauth_information"];
    let usage = match oauth["usage"].as_str() {
        Some("USER_OPERATION") => Some(Usage::UserManaged),
        Some("ADMIN_MANAGEMENT") => Some(Usage::AdminManaged),
        _ => {
            faults.add(
                format!("{section}/usage"),
                "usage must be one of USER_OPERATION, ADMIN_MANAGEMENT",
            );
            None
        }
    };
    let scopes = list(&oauth["scopes"]);
    for (index, entry) in scopes.iter().enumerate() {
        let setting = format!("{section}/scopes[{index}]");
        let Some(name) = entry["scope"].as_str() else {
            faults.add(setting, "scope is required");
            continue;
        };
        if let Some(message) = scope_fault(name, usage, manifest) {
            faults.add(setting, message);
        }
    }
    if !scopes.is_empty() && scopes.iter().all(|entry| entry["optional"] == true) {
        faults.add(format!("{section}/scopes"), "at least one scope must be required");
    }
    usage
}

fn scope_fault(name: &str, usage: Option<Usage>, manifest: &Value) -> Option<String> {
    let app_owned = name.contains("event_subscription") || name.contains("websocket_connection");
    if name.starts_with("marketplace:") && app_owned {
        return Some(format!("{name} is not allowed in manifest"));
    }
    if name == "imchat:bot" {
        let products = list(&manifest["features"]["products"]);
        let chat = products.iter().any(|product| product == "ZOOM_CHAT");
        let fits = usage == Some(Usage::AdminManaged) && chat;
        return (!fits).then(|| "imchat:bot is not allowed for the app".to_owned());
    }
    let plain = name.strip_suffix(":admin").unwrap_or(name);
    if plain.split(':').count() < 3 {
        return Some(format!("{name} is not a granular scope"));
    }
    let wrong = match usage {
        Some(Usage::UserManaged) => name.ends_with(":admin"),
        Some(Usage::AdminManaged) => !name.ends_with(":admin"),
        None => false,
    };
    wrong.then(|| format!("{name} does not match the usage of the app"))
}

fn features(manifest: &Value, faults: &mut Faults) {
    let section = "/features";
    let features = &manifest["features"];
    for (index, product) in list(&features["products"]).iter().enumerate() {
        faults.one_of(format!("{section}/products[{index}]"), Some(product), &PRODUCTS);
    }
    if features["products"].as_array().is_some_and(Vec::is_empty) {
        for field in ["development_home_uri", "production_home_uri", "domain_allow_list"] {
            if !is_blank(features.get(field)) {
                faults.add(format!("{section}/{field}"), "not allowed without products");
            }
        }
    }
    for (index, entry) in list(&features["domain_allow_list"]).iter().enumerate() {
        if !entry["domain"].is_string() || !entry["explanation"].is_string() {
            faults.add(
                format!("{section}/domain_allow_list[{index}]"),
                "must have domain and explanation",
            );
        }
    }
    if !is_blank(features.get("sdk_domain_allow_list")) {
        faults.add(
            format!("{section}/sdk_domain_allow_list"),
            "SDK domain allowlist feature is not enabled for this account",
        );
    }
}

fn chat(manifest: &Value, command_is_taken: impl Fn(&str) -> bool, faults: &mut Faults) {
    let chat = &manifest["features"]["team_chat_subscription"];
    if chat["enable"] != true {
        return;
    }
    let section = "/features/team_chat_subscription/slash_command";
    let slash = &chat["slash_command"];
    if is_blank(slash.get("development_message_url")) {
        faults.add(
            format!("{section}/development_message_url"),
            "development_message_url is required",
        );
    }
    let command = slash["command"].as_str().unwrap_or_default();
    if !command.is_empty() && command_is_taken(command) {
        faults.add(format!("{section}/command"), "command is already in use");
    }
}

fn events(manifest: &Value, usage: Option<Usage>, saves_rtms: bool, faults: &mut Faults) {
    let subscription = &manifest["features"]["event_subscription"];
    if subscription["enable"] != true {
        return;
    }
    let section = "/features/event_subscription";
    let subscriptions = list(&subscription["events"]);
    if subscriptions.len() > SUBSCRIPTIONS {
        faults.add(
            format!("{section}/events"),
            "at most 20 event subscriptions are allowed",
        );
    }
    let suffix = if usage == Some(Usage::AdminManaged) {
        ":admin"
    } else {
        ""
    };
    let scopes = list(&manifest["oauth_information"]["scopes"]);
    let has = |scope: &str| {
        let name = format!("{scope}{suffix}");
        scopes.iter().any(|entry| entry["scope"] == name.as_str())
    };
    for (index, entry) in subscriptions.iter().enumerate() {
        let setting = format!("{section}/events[{index}]");
        faults.one_of(
            format!("{setting}/event_usage"),
            entry.get("event_usage"),
            &["EVENT_FOR_USER", "EVENT_FOR_ADMIN"],
        );
        if is_blank(entry.get("development_webhook_url")) && is_blank(entry.get("production_webhook_url")) {
            faults.add(
                setting.clone(),
                "Event Subscription requires either Request URL or Socket Mode Enabled",
            );
        }
        for name in list(&entry["event_types"]) {
            let name = name.as_str().unwrap_or_default();
            let allowed = match needs(name) {
                Needs::Nothing => true,
                Needs::Scope(scope) => has(scope),
                Needs::RealTimeMedia => saves_rtms,
                Needs::Unknown => false,
            };
            if !allowed {
                faults.add(
                    format!("{setting}/event_types"),
                    format!("{name} event is not allowed for the app"),
                );
            }
        }
    }
}

enum Needs {
    Nothing,
    Scope(&'static str),
    RealTimeMedia,
    Unknown,
}

fn needs(event: &str) -> Needs {
    match event {
        "app_deauthorized" => Needs::Nothing,
        "meeting.started" | "meeting.ended" => Needs::Scope("meeting:read:meeting"),
        _ if event.starts_with("meeting.rtms_") || event.starts_with("rtms.concurrency_") => {
            Needs::RealTimeMedia
        }
        _ if event.starts_with("recording.") => Needs::Scope("cloud_recording:read:recording"),
        _ if event.starts_with("user.") => Needs::Scope("user:read:user"),
        _ => Needs::Unknown,
    }
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Missing, null, or empty.
pub(super) fn is_blank(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({
            "display_information": { "display_name": "App" },
            "oauth_information": {
                "usage": "ADMIN_MANAGEMENT",
                "scopes": [{ "scope": "imchat:bot", "optional": false }, { "scope": "meeting:read:meeting:admin" }],
            },
            "features": {
                "products": ["ZOOM_CHAT"],
                "team_chat_subscription": { "enable": true, "slash_command": {
                    "command": "recap", "development_message_url": "https://a.example/bot" } },
                "event_subscription": { "enable": true, "events": [{
                    "event_types": ["meeting.ended"], "development_webhook_url": "https://a.example/events" }] },
            },
        })
    }

    fn settings(manifest: &Value) -> Vec<String> {
        let faults = validate(manifest, |command| command == "taken", false);
        faults.into_iter().map(|fault| fault.setting).collect()
    }

    #[test]
    fn what_zoom_refuses_is_refused_and_says_where() {
        assert_eq!(settings(&good()), [""; 0]);
        for (pointer, value, setting) in [
            (
                "/display_information/display_name",
                json!("x".repeat(50)),
                "/display_information/display_name",
            ),
            (
                "/display_information",
                json!({ "display_name": "A", "discover_type": "listed" }),
                "/display_information/discover_type",
            ),
            (
                "/display_information",
                json!({ "display_name": "A", "install_type": "LANDING_PAGE" }),
                "/display_information/install_landing_url",
            ),
            (
                "/display_information",
                json!({ "display_name": "A", "business_lines": ["other", "sales"] }),
                "/display_information/business_lines[1]",
            ),
            (
                "/oauth_information/usage",
                json!("ACCOUNT_OPERATION"),
                "/oauth_information/usage",
            ),
            (
                "/oauth_information/scopes/1/scope",
                json!("user:read"),
                "/oauth_information/scopes[1]",
            ),
            (
                "/oauth_information/scopes/0/scope",
                json!("marketplace:write:event_subscription"),
                "/oauth_information/scopes[0]",
            ),
            (
                "/features/products/0",
                json!("ZOOM_TEA"),
                "/oauth_information/scopes[0]",
            ),
            (
                "/features/team_chat_subscription/slash_command/command",
                json!("taken"),
                "/features/team_chat_subscription/slash_command/command",
            ),
            (
                "/features/team_chat_subscription/slash_command/development_message_url",
                json!(""),
                "/features/team_chat_subscription/slash_command/development_message_url",
            ),
            (
                "/features/event_subscription/events/0/development_webhook_url",
                json!(null),
                "/features/event_subscription/events[0]",
            ),
            (
                "/features/event_subscription/events/0/event_types/0",
                json!("recording.completed"),
                "/features/event_subscription/events[0]/event_types",
            ),
            (
                "/features/event_subscription/events/0/event_types/0",
                json!("meeting.rtms_started"),
                "/features/event_subscription/events[0]/event_types",
            ),
        ] {
            let mut manifest = good();
            *manifest.pointer_mut(pointer).unwrap() = value;
            let found = settings(&manifest);
            assert_eq!(
                found.first().map(String::as_str),
                Some(setting),
                "{pointer}: {found:?}"
            );
        }
    }

    #[test]
    fn what_zoom_lets_pass_passes() {
        let mut manifest = good();
        manifest["oauth_information"]["development_redirect_uri"] = json!("not-a-url");
        manifest["oauth_information"]["scopes"][1]["optional"] = json!("yes");
        let again = manifest["oauth_information"]["scopes"][1].clone();
        let scopes = manifest["oauth_information"]["scopes"].as_array_mut();
        scopes.unwrap().push(again);
        manifest["unknown"] = json!({ "deep": 1 });
        manifest["features"]["unknown"] = json!([1]);
        assert_eq!(settings(&manifest), [""; 0]);
        manifest["features"]["event_subscription"]["events"][0]["event_types"] =
            json!(["meeting.rtms_started"]);
        assert_eq!(validate(&manifest, |_| false, true), []);
    }

    #[test]
    fn scopes_of_the_wrong_flavour_and_a_bot_without_chat_are_refused() {
        let mut manifest = good();
        manifest["oauth_information"]["usage"] = json!("USER_OPERATION");
        assert_eq!(
            settings(&manifest),
            [
                "/oauth_information/scopes[0]",
                "/oauth_information/scopes[1]",
                "/features/event_subscription/events[0]/event_types"
            ]
        );
        let mut manifest = good();
        manifest["features"]["products"] = json!([]);
        manifest["features"]["domain_allow_list"] = json!(["a.example"]);
        assert_eq!(
            settings(&manifest),
            [
                "/oauth_information/scopes[0]",
                "/features/domain_allow_list",
                "/features/domain_allow_list[0]",
            ]
        );
    }
}
