//! `zoom`: the region's apps at Zoom's Marketplace, and Zoom's addresses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretRef;
use crate::words::Words;

/// Zoom's addresses and the region's apps there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Zoom {
    /// Where Zoom's consent page and tokens are.
    #[serde(default = "oauth_url")]
    pub oauth_url: String,
    /// Zoom's API where the token answer names none.
    #[serde(default = "api_url")]
    pub api_url: String,
    /// Zoom's own hosts, by suffix: what downloads and Zoom's answers may lead to. They are the same for all regions.
    #[serde(default = "hosts")]
    #[schemars(length(min = 1))]
    pub hosts: Vec<String>,
    /// The calls of Zoom's API that the app may make through a link, `METHOD /path` with `{name}` for an id; without it those
    /// of the default, with an empty list none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<Vec<String>>,
    /// The content of the file by which Zoom validates the public host, as Zoom gives it; it is no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_proof: Option<String>,
    /// What the Marketplace and its review are told of the region's apps alike.
    pub listing: Listing,
    /// The region's apps.
    pub apps: Apps,
}

fn oauth_url() -> String {
    "https://zoom.us".to_owned()
}

fn api_url() -> String {
    "https://api.zoom.us".to_owned()
}

fn hosts() -> Vec<String> {
    vec!["zoom.us".to_owned()]
}

/// What the Marketplace and its review are told of the region's apps alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listing {
    /// Who offers the apps.
    pub company_name: String,
    /// Whom Zoom may ask.
    pub contact_name: String,
    /// A mailbox that somebody reads.
    pub contact_email: String,
    /// The privacy policy of this region.
    pub privacy_url: String,
    /// The terms of use.
    pub terms_url: String,
    /// Hours and first answer of the support.
    pub support_url: String,
    /// How to add, use and remove the apps, and what happens to data then.
    pub documentation_url: String,
}

/// The region's Marketplace apps. Linking by users needs a user-managed app and the bot an admin-managed one, so a region with a
/// bot has two, unless its links are made by administrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Apps {
    /// The app through which subjects are linked and recordings come.
    pub linking: MarketplaceApp,
    /// The Team Chat bot's app, where it is one of its own; it has a `chat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot: Option<MarketplaceApp>,
}

impl Apps {
    /// The apps with their names in the file.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &MarketplaceApp)> {
        let bot = self.bot.as_ref().map(|bot| ("bot", bot));
        std::iter::once(("linking", &self.linking)).chain(bot)
    }

    /// The app that carries the bot: its own, else the linking app if that has a `chat`.
    pub fn with_chat(&self) -> Option<(&MarketplaceApp, &Chat)> {
        self.named()
            .find_map(|(_, app)| app.chat.as_ref().map(|chat| (app, chat)))
    }
}

/// One app at Zoom's Marketplace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MarketplaceApp {
    /// The Marketplace's own id of the app.
    pub app_id: String,
    /// The OAuth client id.
    pub client_id: String,
    /// The OAuth client secret.
    pub client_secret: SecretRef,
    /// The secret tokens that sign what Zoom sends, a comma list for rotation.
    pub webhook_secrets: SecretRef,
    /// The Authorization header that the event subscription adds, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_authorization: Option<SecretRef>,
    /// The header of one's own that it adds instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_header: Option<SecretRef>,
    /// Who manages it, which fixes what scopes it may have.
    pub usage: AppUsage,
    /// The name that users see, at most 50 characters.
    pub name: String,
    /// In one sentence, at most 150 characters.
    pub description: String,
    /// For the listing.
    pub long_description: String,
    /// Whether the Marketplace shows it to those who search.
    #[serde(default)]
    pub listed: bool,
    /// Where consent leads back to.
    pub redirect_url: String,
    /// The page from which the app is added.
    pub install_url: String,
    /// Where Zoom sends the app's events.
    pub events_url: String,
    /// The parts of Zoom that it works with.
    #[serde(default)]
    pub products: Vec<Product>,
    /// What it may do, each with its reason.
    pub scopes: Vec<Scope>,
    /// The reason for all of them, as users read it.
    pub scope_description: String,
    /// What it is told.
    #[serde(default)]
    pub events: Vec<EventSubscription>,
    /// The Team Chat bot, where this app carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<Chat>,
    /// The app's development environment, where it is not the production one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub development: Option<Development>,
}

/// Who manages an app at Zoom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AppUsage {
    /// Each user, with scopes without suffix.
    UserManaged,
    /// The account's administrator, with scopes that end with `:admin`.
    AdminManaged,
}

/// A part of Zoom, as the manifest spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "they are Zoom's own names")]
pub enum Product {
    ZoomMeeting,
    ZoomChat,
    ZoomPhone,
    ZoomRoom,
    ZoomWebinar,
    ZoomContactCenter,
    ZoomWhiteboard,
    ZoomEvents,
}

/// One scope of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scope {
    /// Its granular name.
    pub scope: String,
    /// Whether the user may untick it.
    #[serde(default)]
    pub optional: bool,
    /// What it is needed for, as the review asks.
    pub reason: String,
}

/// One event subscription of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventSubscription {
    /// Its name, which also serves as its id.
    pub name: String,
    /// Whose events they are.
    pub receiver: EventReceiver,
    /// Names of events, such as `recording.completed`.
    #[schemars(length(min = 1))]
    pub types: Vec<String>,
}

/// Whose events an app is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EventReceiver {
    /// Those of the users who added the app.
    User,
    /// Those of all users in the account.
    Account,
}

/// The Team Chat bot of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Chat {
    /// The bot's JID, from the app's Zoom Chat page.
    pub robot_jid: String,
    /// Where Zoom sends what is said to the bot.
    pub message_url: String,
    /// Its slash command, which no other app of the developer's account may have.
    pub slash_command: SlashCommand,
    /// What Zoom sends after an installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub welcome: Option<Welcome>,
    /// What the bot says by itself, where it differs from the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
    /// Whether people who have spoken to the bot are shown how far the fetching of their recordings has come.
    #[serde(default = "yes")]
    pub progress: bool,
}

fn yes() -> bool {
    true
}

/// A bot's slash command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlashCommand {
    /// The word, without `/`.
    pub command: String,
    /// What may follow it.
    #[serde(default)]
    pub hints: Vec<CommandHint>,
    /// Whether the bot may be added to channels.
    #[serde(default)]
    pub add_to_channel: bool,
}

/// What may follow a slash command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommandHint {
    /// Such as `help`.
    pub usage: String,
    /// What it does.
    pub description: String,
}

/// What Zoom sends after an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Welcome {
    /// Its first line.
    pub title: String,
    /// The rest.
    pub body: String,
}

/// An app's development environment at Zoom: its own client, for a deployment of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Development {
    /// Its OAuth client id.
    pub client_id: String,
    /// The public URL of that deployment.
    pub public_url: String,
}
