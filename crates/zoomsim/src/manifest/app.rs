//! What an app is by its manifest, and what manifest an app has that was made without one.

use serde_json::{Map, Value, json};
use url::Url;

use super::validate::{is_blank, list};
use crate::model::app::{App, Usage};

/// Members at the root that an export returns; all others are dropped when a manifest is saved.
const ROOT: [&str; 3] = ["display_information", "oauth_information", "features"];
/// Members of an event's header that an export does not show.
const WRITE_ONLY: [&str; 2] = ["password", "client_secret"];

/// An event subscription that a manifest asks for.
pub(crate) struct WantedSubscription {
    pub setting: String,
    pub url: Url,
    pub events: Vec<String>,
}

impl App {
    /// Whether the consent page takes this redirect URI (marketplace: OAuth redirect rules).
    pub(crate) fn accepts_redirect(&self, text: &str) -> bool {
        let Some(manifest) = &self.manifest else {
            return self.redirect_uris.iter().any(|uri| uri == text);
        };
        let oauth = &manifest["oauth_information"];
        let registered: Vec<&str> = ["development_redirect_uri", "production_redirect_uri"]
            .iter()
            .filter_map(|field| oauth[*field].as_str())
            .filter(|uri| !uri.is_empty())
            .collect();
        let allowed = list(&oauth["oauth_allow_list"])
            .iter()
            .filter_map(Value::as_str)
            .any(|entry| covers(entry, text));
        let host = |text: &str| {
            Url::parse(text)
                .ok()
                .and_then(|url| url.host_str().map(str::to_owned))
        };
        allowed
            && (oauth["strict_mode"] != true || registered.contains(&text))
            && (oauth["subdomain_strict_mode"] != true
                || registered.iter().any(|uri| host(uri) == host(text)))
    }

    /// Takes over what a manifest says of everything but subscriptions.
    pub(crate) fn take_over(&mut self, manifest: &Value) {
        let oauth = &manifest["oauth_information"];
        if let Some(name) = manifest["display_information"]["display_name"].as_str() {
            name.clone_into(&mut self.name);
        }
        self.usage = match oauth["usage"].as_str() {
            Some("ADMIN_MANAGEMENT") => Usage::AdminManaged,
            _ => Usage::UserManaged,
        };
        self.redirect_uris = list(&oauth["oauth_allow_list"])
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let scopes = |optional: bool| {
            list(&oauth["scopes"])
                .iter()
                .filter(|entry| (entry["optional"] == true) == optional)
                .filter_map(|entry| entry["scope"].as_str())
                .map(str::to_owned)
                .collect()
        };
        self.scopes = scopes(false);
        self.optional_scopes = scopes(true);
        self.manifest = Some(saved(manifest));
    }

    /// Where events go by this manifest: to the development URLs of a draft, to the production URLs of a published app.
    pub(crate) fn wanted_subscriptions(&self, manifest: &Value) -> Vec<WantedSubscription> {
        let subscription = &manifest["features"]["event_subscription"];
        if subscription["enable"] != true {
            return Vec::new();
        }
        let field = if self.published {
            "production_webhook_url"
        } else {
            "development_webhook_url"
        };
        let entries = list(&subscription["events"]).iter().enumerate();
        entries
            .filter_map(|(index, entry)| {
                Some(WantedSubscription {
                    setting: format!("/features/event_subscription/events[{index}]/{field}"),
                    url: Url::parse(entry[field].as_str()?).ok()?,
                    events: list(&entry["event_types"])
                        .iter()
                        .filter_map(Value::as_str)
                        .map(str::to_owned)
                        .collect(),
                })
            })
            .collect()
    }

    /// The app's slash command, where its bot is on.
    pub(crate) fn slash_command(&self) -> Option<&str> {
        let chat = &self.manifest.as_ref()?["features"]["team_chat_subscription"];
        (chat["enable"] == true).then(|| chat["slash_command"]["command"].as_str())?
    }

    /// The manifest as it is kept.
    pub(crate) fn kept_manifest(&self) -> Value {
        self.manifest.clone().unwrap_or_else(|| self.described())
    }

    /// The manifest as an export shows it: without the secrets of headers.
    pub(crate) fn exported_manifest(&self) -> Value {
        let mut manifest = self.kept_manifest();
        let events = manifest
            .pointer_mut("/features/event_subscription/events")
            .and_then(Value::as_array_mut);
        for entry in events.into_iter().flatten() {
            for field in [
                "development_event_custom_header",
                "production_event_custom_header",
            ] {
                if let Some(header) = entry.get_mut(field).and_then(Value::as_object_mut) {
                    header.retain(|name, _| !WRITE_ONLY.contains(&name.as_str()));
                }
            }
        }
        manifest
    }

    /// What a manifest would say of an app that was made without one.
    fn described(&self) -> Value {
        let scope = |name: &String, optional: bool| json!({ "scope": name, "optional": optional });
        let scopes: Vec<_> = self
            .scopes
            .iter()
            .map(|name| scope(name, false))
            .chain(self.optional_scopes.iter().map(|name| scope(name, true)))
            .collect();
        let events: Vec<_> = self
            .subscriptions
            .iter()
            .map(|it| {
                json!({
                    "subscription_id": it.id, "subscription_name": it.id,
                    "event_usage": match self.usage {
                        Usage::UserManaged => "EVENT_FOR_USER",
                        Usage::AdminManaged => "EVENT_FOR_ADMIN",
                    },
                    "event_types": it.events, "development_webhook_url": it.url, "production_webhook_url": it.url,
                    "development_event_custom_header": null, "production_event_custom_header": null,
                })
            })
            .collect();
        let redirect = self.redirect_uris.first().cloned().unwrap_or_default();
        json!({
            "display_information": { "display_name": self.name },
            "oauth_information": {
                "usage": match self.usage {
                    Usage::UserManaged => "USER_OPERATION",
                    Usage::AdminManaged => "ADMIN_MANAGEMENT",
                },
                "development_redirect_uri": redirect, "production_redirect_uri": "",
                "oauth_allow_list": self.redirect_uris, "strict_mode": false, "subdomain_strict_mode": false,
                "scopes": scopes,
            },
            "features": {
                "products": ["ZOOM_MEETING"],
                "team_chat_subscription": { "enable": false },
                "event_subscription": { "enable": !events.is_empty(), "events": events },
            },
        })
    }
}

/// An entry of the allow list is a whole URL, with all that is below it, or an origin.
fn covers(entry: &str, text: &str) -> bool {
    if entry == text {
        return true;
    }
    let (Ok(entry), Ok(url)) = (Url::parse(entry), Url::parse(text)) else {
        return false;
    };
    entry.origin() == url.origin() && url.path().starts_with(entry.path())
}

/// Unknown members at the root are accepted and dropped; below it everything is kept.
fn saved(manifest: &Value) -> Value {
    let members: Map<String, Value> = ROOT
        .iter()
        .filter(|name| !is_blank(manifest.get(**name)))
        .map(|name| ((*name).to_owned(), manifest[*name].clone()))
        .collect();
    Value::Object(members)
}
