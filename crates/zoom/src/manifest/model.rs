//! The manifest's documented members as types. Every level keeps the members that it does not know.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::redact::redacted;
use crate::scope;

/// Members that have no field here, as they came.
pub type Extra = Map<String, Value>;

/// A manifest without the wrapper `{"manifest": ...}` of API calls, as the build flow lets one download it.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What people see of the app.
    #[serde(default)]
    pub display_information: DisplayInformation,
    /// Who authorizes it, for what, and where the browser comes back.
    #[serde(default)]
    pub oauth_information: OauthInformation,
    /// What it does inside Zoom.
    #[serde(default)]
    pub features: Features,
    /// Whatever else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// `display_information`
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DisplayInformation {
    /// The name; Zoom wants fewer than 50 characters.
    #[serde(default)]
    pub display_name: String,
    /// One sentence; a listing takes 150 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The listing's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_description: Option<String>,
    /// Whose app it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_name: Option<String>,
    /// `LISTED` or `UNLISTED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discover_type: Option<String>,
    /// `APP_DIRECTORY` or `LANDING_PAGE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_type: Option<String>,
    /// Where `LANDING_PAGE` leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_landing_url: Option<String>,
    /// The privacy policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy_url: Option<String>,
    /// The terms of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_url: Option<String>,
    /// Where help is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_url: Option<String>,
    /// How to add, use and remove the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc_url: Option<String>,
    /// Whatever else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Who authorizes the app. It decides which scopes are legal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Usage {
    /// Each user for herself: plain scopes.
    #[serde(rename = "USER_OPERATION")]
    UserOperation,
    /// An administrator for the account: `:admin` scopes.
    #[serde(rename = "ADMIN_MANAGEMENT")]
    AdminManagement,
}

impl From<scope::Usage> for Usage {
    fn from(usage: scope::Usage) -> Self {
        match usage {
            scope::Usage::UserManaged => Self::UserOperation,
            scope::Usage::AdminManaged => Self::AdminManagement,
        }
    }
}

/// `oauth_information`
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OauthInformation {
    /// Who authorizes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Where the browser comes back with the development client id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub development_redirect_uri: Option<String>,
    /// Where it comes back with the production client id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production_redirect_uri: Option<String>,
    /// Every redirect URI that may be used. Zoom's validator does not look whether the two above are among them.
    #[serde(default)]
    pub oauth_allow_list: Vec<String>,
    /// Only the registered redirect URI, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict_mode: Option<bool>,
    /// Only the sub-domain of the registered redirect URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdomain_strict_mode: Option<bool>,
    /// What the app may do.
    #[serde(default)]
    pub scopes: Vec<ScopeEntry>,
    /// One text for all scopes; the reasons for each are asked at submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_description: Option<String>,
    /// Whatever else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One of `oauth_information.scopes`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScopeEntry {
    /// The granular name.
    pub scope: String,
    /// True: the user may leave it out.
    #[serde(default)]
    pub optional: bool,
    /// Whatever else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// `features`
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// Where the app appears, such as `ZOOM_CHAT`.
    #[serde(default)]
    pub products: Vec<String>,
    /// Domains that the Zoom client may open. Zoom refuses them where `products` is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domain_allow_list: Vec<DomainEntry>,
    /// The Team Chat bot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_chat_subscription: Option<ChatSubscription>,
    /// What Zoom tells, and where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_subscription: Option<EventSubscription>,
    /// Whatever else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One of `features.domain_allow_list`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DomainEntry {
    /// The domain.
    pub domain: String,
    /// What it is for.
    #[serde(default)]
    pub explanation: String,
    /// Whatever else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// `features.team_chat_subscription`
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatSubscription {
    /// True: the app has a bot.
    #[serde(default)]
    pub enable: bool,
    /// A channel for support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_support_channel: Option<bool>,
    /// The bot's command and endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slash_command: Option<SlashCommand>,
    /// Whatever else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// `features.team_chat_subscription.slash_command`
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SlashCommand {
    /// The command without its slash.
    #[serde(default)]
    pub command: String,
    /// What is suggested while one types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command_hints: Vec<CommandHint>,
    /// True: the bot may be added to channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_add_to_channel: Option<bool>,
    /// The bot's endpoint in development; Zoom insists on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub development_message_url: Option<String>,
    /// The bot's endpoint in production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production_message_url: Option<String>,
    /// `zoom` in every sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_type: Option<String>,
    /// What Zoom sends after an install.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub welcome_msg: Option<Welcome>,
    /// Domains whose links the bot may unfurl.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_domain_list: Option<Vec<TrustedDomain>>,
    /// Whatever else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One of a slash command's hints.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CommandHint {
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// What to type.
    #[serde(default)]
    pub usage_hint: String,
    /// Whatever else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The message after an install.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// Its title.
    #[serde(default)]
    pub title: String,
    /// Its text.
    #[serde(default)]
    pub body: String,
    /// Whatever else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A domain whose links may be unfurled.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrustedDomain {
    /// The domain.
    pub domain: String,
    /// Whether its links are unfurled.
    #[serde(default)]
    pub unfurling: bool,
    /// Whatever else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// `features.event_subscription`
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EventSubscription {
    /// True: events are sent.
    #[serde(default)]
    pub enable: bool,
    /// The subscriptions, at most 20.
    #[serde(default)]
    pub events: Vec<EventEntry>,
    /// Whatever else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Whose events a subscription gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventUsage {
    /// Those of the users who added the app.
    #[serde(rename = "EVENT_FOR_USER")]
    User,
    /// Those of all users of the account.
    #[serde(rename = "EVENT_FOR_ADMIN")]
    Admin,
}

/// One event subscription. The header that it may add stays among the unknown members: its secrets are not ours to show.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EventEntry {
    /// A stable id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<String>,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_name: Option<String>,
    /// Whose events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_usage: Option<EventUsage>,
    /// Their names.
    #[serde(default)]
    pub event_types: Vec<String>,
    /// The endpoint in development.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub development_webhook_url: Option<String>,
    /// The endpoint in production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production_webhook_url: Option<String>,
    /// Whatever else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Shows no secret (INV-3): a manifest may hold passwords of the headers that Zoom adds to events.
macro_rules! debug_without_secrets {
    ($($name:ty),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let value = serde_json::to_value(self).map_err(|_| fmt::Error)?;
                fmt::Display::fmt(&redacted(&value), f)
            }
        }
    )+};
}

debug_without_secrets!(
    Manifest,
    DisplayInformation,
    OauthInformation,
    ScopeEntry,
    Features,
    DomainEntry,
    ChatSubscription,
    SlashCommand,
    CommandHint,
    Welcome,
    TrustedDomain,
    EventSubscription,
    EventEntry
);

/// A text that is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no manifest: {0}")]
pub struct NotAManifest(String);

impl Manifest {
    /// Reads a downloaded manifest, or what an API call wraps. The error names the member at fault and no value.
    pub fn parse(text: &str) -> Result<Self, NotAManifest> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| NotAManifest(format!("no JSON, line {}", error.line())))?;
        Self::from_value(&value)
    }

    /// The same from JSON that was read already.
    pub fn from_value(value: &Value) -> Result<Self, NotAManifest> {
        let inner = match value.get("manifest") {
            Some(inner) if value.as_object().is_some_and(|object| object.len() == 1) => inner,
            _ => value,
        };
        if !inner.is_object() {
            return Err(NotAManifest("no JSON object".to_owned()));
        }
        serde_path_to_error::deserialize(inner)
            .map_err(|error| NotAManifest(format!("{} has a value of the wrong kind", error.path())))
    }

    /// As JSON.
    pub fn to_value(&self) -> Value {
        // Maps with text keys and plain values: there is nothing in it that JSON cannot hold.
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_level_keeps_what_it_does_not_know() {
        let text = json!({
            "display_information": { "display_name": "X", "new": 1 },
            "oauth_information": { "usage": "USER_OPERATION", "oauth_allow_list": [], "new": 2,
                "scopes": [{ "scope": "user:read:user", "optional": false, "new": 3 }] },
            "features": {
                "products": ["ZOOM_CHAT"], "plugin_sdk": { "deep": [1] }, "customer_form": null,
                "domain_allow_list": [{ "domain": "a.example", "explanation": "x", "new": 4 }],
                "team_chat_subscription": { "enable": true, "shortcuts": [{ "action_id": "a" }], "slash_command": {
                    "command": "c", "enable_mention": true, "trust_domain_list": [],
                    "command_hints": [{ "description": "d", "usage_hint": "h", "new": 5 }],
                    "welcome_msg": { "title": "t", "body": "b", "new": 6 } } },
                "event_subscription": { "enable": true, "new": 7, "events": [{ "subscription_name": "n",
                    "event_types": ["meeting.ended"], "delivery": "WEB_SOCKET" }] }
            },
            "developer_information": { "mail": "a@example.com" }
        });
        let manifest = Manifest::from_value(&text).unwrap();
        assert_eq!(manifest.to_value(), text);
        let wrapped = json!({ "manifest": text });
        assert_eq!(Manifest::from_value(&wrapped).unwrap(), manifest);
    }

    #[test]
    fn what_is_no_manifest_is_told_by_its_path_and_never_by_its_value() {
        let fault = |value: Value| Manifest::from_value(&value).unwrap_err().to_string();
        let wrong = fault(json!({ "oauth_information": { "scopes": "PLANTED" } }));
        assert!(wrong.contains("oauth_information"), "{wrong}");
        let wrong = fault(json!({ "oauth_information": { "usage": "PLANTED" } }));
        assert!(
            wrong.contains("oauth_information.usage") && !wrong.contains("PLANTED"),
            "{wrong}"
        );
        assert!(Manifest::parse("{").unwrap_err().to_string().contains("line 1"));
        assert!(fault(json!([])).contains("object"));
    }

    #[test]
    fn no_debug_form_shows_a_secret() {
        let entry = json!({ "event_types": [], "production_event_custom_header":
            { "custom_header_type": 1, "username": "zoom", "password": "PLANTED" } });
        let entry: EventEntry = serde_json::from_value(entry).unwrap();
        let shown = format!("{entry:?}");
        assert!(shown.contains("zoom") && !shown.contains("PLANTED"), "{shown}");
    }
}
