//! Marketplace apps and their event subscriptions.

use domicile_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::model::chat::{Bot, NewBot};

/// Who authorises an app (platform: `usage` in the manifest).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    /// Each user for herself; the token says `me` (`USER_OPERATION`).
    #[default]
    UserManaged,
    /// An administrator for the whole account (`ADMIN_MANAGEMENT`).
    AdminManaged,
}

/// A Marketplace app.
#[derive(Clone, Serialize, Deserialize)]
pub struct App {
    /// The public id.
    pub client_id: String,
    /// The secret of HTTP Basic at the token endpoint.
    pub client_secret: String,
    /// The name on the consent page.
    pub name: String,
    /// Who authorises it.
    pub usage: Usage,
    /// Redirect URIs, compared whole and case-sensitively ("strict mode").
    pub redirect_uris: Vec<String>,
    /// Granular scopes that each grant receives.
    pub scopes: Vec<String>,
    /// Granular scopes that the user may leave out.
    #[serde(default)]
    pub optional_scopes: Vec<String>,
    /// Where events go.
    pub subscriptions: Vec<Subscription>,
    /// The Marketplace's own id, by which its API knows the app.
    #[serde(default)]
    pub app_id: String,
    /// The account of its developer, whose tokens alone may read and change it; absent: everybody's.
    #[serde(default)]
    pub account_id: Option<String>,
    /// True once it is out: then its manifest can be neither exported nor updated.
    #[serde(default)]
    pub published: bool,
    /// The secret token of its Features page; it signs the subscriptions that its manifest brings.
    #[serde(default)]
    pub secret_token: String,
    /// What it was made of or changed to; absent: what its other fields say.
    #[serde(default)]
    pub manifest: Option<serde_json::Value>,
    /// Its bot in Team Chat.
    #[serde(default)]
    pub bot: Option<Bot>,
}

impl App {
    /// What a grant without the declined scopes receives.
    pub(crate) fn granted(&self, declined: &[String]) -> Vec<String> {
        let chosen = self
            .optional_scopes
            .iter()
            .filter(|scope| !declined.contains(scope));
        self.scopes.iter().chain(chosen).cloned().collect()
    }
}

/// One event subscription of an app, with a secret token of its own.
#[derive(Clone, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// Where events are posted.
    pub url: Url,
    /// The secret token that signs them.
    pub secret_token: String,
    /// The names of the wanted events; `app_deauthorized` among them makes it the deauthorization endpoint.
    pub events: Vec<String>,
    /// False after six failed challenges in a row, until it is validated again.
    pub enabled: bool,
    /// Failed challenges in a row.
    pub failed_challenges: u32,
    /// When the next challenge is due; 72 hours after the last one.
    pub next_challenge_at: Timestamp,
    /// What Zoom would have mailed to the account's owner: after two, four and six failures.
    pub owner_mails: Vec<String>,
}

/// A new app. Everything has a default, so `{}` makes a usable one.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewApp {
    /// Made up if absent.
    pub client_id: Option<String>,
    /// Made up if absent.
    pub client_secret: Option<String>,
    /// The Marketplace's own id; made up if absent.
    pub app_id: Option<String>,
    /// The account of its developer; absent: every token may read and change its manifest.
    pub account_id: Option<String>,
    /// The secret token of its Features page; made up if absent.
    pub secret_token: Option<String>,
    /// The name on the consent page.
    pub name: Option<String>,
    /// Who authorises it.
    pub usage: Usage,
    /// Redirect URIs; one at least for the consent page to work.
    pub redirect_uris: Vec<String>,
    /// Scopes; empty means all that recordings, users and the bot need, of the right kind for `usage`.
    pub scopes: Vec<String>,
    /// Further scopes, which the consent page lets the user leave out.
    pub optional_scopes: Vec<String>,
    /// Subscriptions to save with it; each is challenged unless it says otherwise.
    pub subscriptions: Vec<NewSubscription>,
    /// Its bot, whose endpoint is challenged unless it says otherwise.
    pub bot: Option<NewBot>,
}

/// A new event subscription.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSubscription {
    /// Where events are posted; loopback hosts only.
    pub url: Url,
    /// Made up if absent.
    #[serde(default)]
    pub secret_token: Option<String>,
    /// The wanted events; empty means all that the simulator sends.
    #[serde(default)]
    pub events: Vec<String>,
    /// True (the default): the URL must answer the challenge or nothing is saved, as at Zoom.
    #[serde(default = "yes")]
    pub validate: bool,
}

fn yes() -> bool {
    true
}

impl NewSubscription {
    /// All events to this URL, signed with this secret token, challenged on save.
    pub fn new(url: Url, secret_token: &str) -> Self {
        Self {
            url,
            secret_token: Some(secret_token.to_owned()),
            events: Vec::new(),
            validate: true,
        }
    }

    /// Saved without the challenge, for receivers that are not up yet.
    #[must_use]
    pub fn without_challenge(mut self) -> Self {
        self.validate = false;
        self
    }
}

/// Every event that the simulator can compose itself.
pub const EVENTS: &[&str] = &[
    "recording.started",
    "recording.paused",
    "recording.resumed",
    "recording.stopped",
    "recording.completed",
    "recording.transcript_completed",
    "recording.renamed",
    "recording.trashed",
    "recording.deleted",
    "recording.recovered",
    "recording.batch_trashed",
    "recording.batch_deleted",
    "recording.batch_recovered",
    "meeting.ended",
    "user.deactivated",
    "user.deleted",
    "user.disassociated",
    "app_deauthorized",
];

/// The scopes an app gets that names none (platform: granular scopes).
pub(crate) fn default_scopes(usage: Usage) -> Vec<String> {
    let names = [
        "user:read:user",
        "cloud_recording:read:list_user_recordings",
        "cloud_recording:read:list_recording_files",
        "cloud_recording:read:recording",
        "cloud_recording:read:meeting_transcript",
        "cloud_recording:delete:meeting_recording",
        "meeting:read:meeting",
        "meeting:read:list_meetings",
    ];
    let mut scopes: Vec<String> = names
        .iter()
        .map(|name| match usage {
            Usage::UserManaged => (*name).to_owned(),
            Usage::AdminManaged => format!("{name}:admin"),
        })
        .collect();
    scopes.push("imchat:bot".to_owned());
    scopes
}
