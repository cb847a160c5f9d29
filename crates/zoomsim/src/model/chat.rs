//! Team Chat: bots, channels and messages.

use std::collections::{BTreeMap, VecDeque};

use domicile_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::model::app::Subscription;

/// Every event that a bot's endpoint may get (platform: requests to the bot endpoint).
pub const BOT_EVENTS: &[&str] = &[
    "bot_installed",
    "bot_notification",
    "interactive_message_actions",
    "interactive_message_select",
    "interactive_message_editable",
    "interactive_message_fields_editable",
    "chat_message.submit",
    "team_chat.app_mention",
    "team_chat.channel_message_posted",
    "team_chat.dm_message_posted",
    "team_chat.link_shared",
    "app_deauthorized",
];

/// Conversations hold so many messages together; the oldest go first.
const MESSAGES: usize = 2_000;

/// Who greets somebody that added the bot. With the second, Zoom sends `bot_installed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Welcome {
    /// Zoom itself, with the text of the app's page: the bot hears nothing.
    Zoom,
    /// "Your App": the bot is told.
    #[default]
    YourApp,
}

/// The bot of an app.
#[derive(Clone, Serialize, Deserialize)]
pub struct Bot {
    /// Its JID, such as `v1abc@xmpp.zoom.us`.
    pub robot_jid: String,
    /// Its slash command, without the slash.
    pub slash_command: String,
    /// Where its events go, and the secret token that signs them; challenged like any subscription.
    pub endpoint: Subscription,
    /// Who greets.
    pub welcome: Welcome,
    /// Whether events carry `triggerId`, `userMemberId` and `userStatus`, which the specification does not have.
    pub newer_members: bool,
    /// Whether interactive events carry `callback_url` and `callback_token`.
    pub callbacks: bool,
    /// Whether it subscribed to plain messages: `team_chat.channel_message_posted` and `team_chat.dm_message_posted`.
    pub hears_messages: bool,
    /// Hosts, with those below them, whose links it unfurls: `team_chat.link_shared`.
    pub unfurl_domains: Vec<String>,
}

impl Bot {
    /// True if it unfurls links to this host.
    pub(crate) fn unfurls(&self, host: &str) -> bool {
        self.unfurl_domains.iter().any(|domain| {
            host == domain
                || host
                    .strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.ends_with('.'))
        })
    }
}

/// A bot to give to an app. Only `url` is required.
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of an order, each for itself"
)]
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBot {
    /// The bot endpoint; loopback hosts only.
    pub url: Url,
    /// Its JID; made up if absent.
    #[serde(default)]
    pub robot_jid: Option<String>,
    /// What signs its events; absent: the secret token of the app's first subscription, else of its Features page.
    #[serde(default)]
    pub secret_token: Option<String>,
    /// Its slash command, without the slash; made of the app's name if absent.
    #[serde(default)]
    pub slash_command: Option<String>,
    /// Who greets.
    #[serde(default)]
    pub welcome: Welcome,
    /// Whether events carry `triggerId`, `userMemberId` and `userStatus`.
    #[serde(default)]
    pub newer_members: bool,
    /// Whether interactive events carry a callback; true if absent.
    #[serde(default = "yes")]
    pub callbacks: bool,
    /// Whether it is told of plain messages.
    #[serde(default)]
    pub hears_messages: bool,
    /// Hosts whose links it unfurls.
    #[serde(default)]
    pub unfurl_domains: Vec<String>,
    /// True (the default): the URL must answer the challenge or nothing is saved, as at Zoom.
    #[serde(default = "yes")]
    pub validate: bool,
}

fn yes() -> bool {
    true
}

impl NewBot {
    /// A bot whose events go to this URL, signed with this secret token, challenged on save.
    pub fn new(url: Url, secret_token: &str) -> Self {
        Self {
            url,
            robot_jid: None,
            secret_token: Some(secret_token.to_owned()),
            slash_command: None,
            welcome: Welcome::default(),
            newer_members: false,
            callbacks: true,
            hears_messages: false,
            unfurl_domains: Vec::new(),
            validate: true,
        }
    }
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Its id: the JID before the `@`.
    pub id: String,
    /// `<id>@conference.xmpp.zoom.us`
    pub jid: String,
    /// Its name.
    pub name: String,
    /// The account that owns it.
    pub account_id: String,
    /// Who is in it; of other accounts too.
    pub member_ids: Vec<String>,
}

/// A new channel.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewChannel {
    /// Made up if absent.
    pub id: Option<String>,
    /// Its name; "General" if absent.
    pub name: Option<String>,
    /// The account that owns it; absent: that of its first member.
    pub account_id: Option<String>,
    /// Who is in it, one at least.
    pub member_ids: Vec<String>,
}

/// Where somebody writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A channel, by its id.
    Channel(String),
    /// Her 1:1 with a bot, by the client id of its app.
    Bot(String),
    /// Her 1:1 with another user, by that one's id.
    User(String),
}

/// The people and the place that a message belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Conversation {
    /// A channel.
    Channel {
        /// Its id.
        channel_id: String,
    },
    /// A user and a bot.
    Bot {
        /// The user.
        user_id: String,
        /// The bot's app.
        client_id: String,
    },
    /// Two users.
    People {
        /// Both, in the order of their ids.
        user_ids: [String; 2],
    },
}

impl Conversation {
    /// What this place is for this user.
    pub(crate) fn of(place: &Place, user_id: &str) -> Self {
        match place {
            Place::Channel(id) => Self::Channel {
                channel_id: id.clone(),
            },
            Place::Bot(client_id) => Self::Bot {
                user_id: user_id.to_owned(),
                client_id: client_id.clone(),
            },
            Place::User(other) => {
                let mut user_ids = [user_id.to_owned(), other.clone()];
                user_ids.sort();
                Self::People { user_ids }
            }
        }
    }
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// A user, by her id.
    User(String),
    /// A bot, by the client id of its app.
    Bot(String),
}

/// The preview of a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unfurl {
    /// The link in the message.
    pub link: String,
    /// What `team_chat.link_shared` named.
    pub trigger_id: String,
    /// The app that was asked.
    pub client_id: String,
    /// What it answered, once it did.
    pub content: Option<Value>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub conversation: Conversation,
    /// Who wrote it.
    pub author: Author,
    /// What a user wrote; empty for a bot's card.
    pub text: String,
    /// A bot's card, as the bot sent it.
    pub content: Option<Value>,
    /// Whether the card's texts are Markdown.
    pub is_markdown_support: bool,
    /// The message that it answers.
    pub reply_to: Option<String>,
    /// The only user who sees it.
    pub visible_to: Option<String>,
    /// On whose behalf the bot wrote, in its own words.
    pub user_jid: Option<String>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When it was edited last.
    pub edited_at: Option<Timestamp>,
    /// How often it was edited by its bot.
    pub edits: u32,
    /// The previews of its links.
    pub unfurls: Vec<Unfurl>,
}

/// A right to answer an interactive event once.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Callback {
    pub client_id: String,
    pub conversation: Conversation,
    pub user_id: String,
    /// What the answer names in `to_jid`.
    pub to_jid: String,
    pub token: String,
    pub expires_at: Timestamp,
    pub used: bool,
}

/// All of Team Chat.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(crate) struct Chat {
    pub channels: BTreeMap<String, Channel>,
    pub messages: VecDeque<ChatMessage>,
    pub callbacks: BTreeMap<String, Callback>,
}

impl Chat {
    pub(crate) fn message(&self, id: &str) -> Option<&ChatMessage> {
        self.messages.iter().find(|message| message.id == id)
    }

    pub(crate) fn message_mut(&mut self, id: &str) -> Option<&mut ChatMessage> {
        self.messages.iter_mut().find(|message| message.id == id)
    }

    pub(crate) fn add(&mut self, message: ChatMessage) {
        if self.messages.len() >= MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(message);
    }
}

/// A user's JID (platform: users/me).
pub(crate) fn user_jid(user_id: &str) -> String {
    format!("{}@xmpp.zoom.us", user_id.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_of_people_is_one_conversation_from_both_sides() {
        let one = Conversation::of(&Place::User("b".into()), "a");
        assert_eq!(one, Conversation::of(&Place::User("a".into()), "b"));
        assert_ne!(one, Conversation::of(&Place::User("c".into()), "a"));
    }

    #[test]
    fn a_domain_covers_what_is_below_it_and_no_neighbour() {
        let bot: NewBot = serde_json::from_str(r#"{"url":"http://127.0.0.1/"}"#).unwrap();
        assert!(bot.callbacks && bot.validate && bot.welcome == Welcome::YourApp);
        let endpoint = Subscription {
            id: String::new(),
            url: bot.url,
            secret_token: String::new(),
            events: Vec::new(),
            enabled: true,
            failed_challenges: 0,
            next_challenge_at: Timestamp::MIN_UTC,
            owner_mails: Vec::new(),
        };
        let bot = Bot {
            robot_jid: String::new(),
            slash_command: String::new(),
            endpoint,
            welcome: bot.welcome,
            newer_members: false,
            callbacks: true,
            hears_messages: false,
            unfurl_domains: vec!["a.example".into()],
        };
        assert!(bot.unfurls("a.example") && bot.unfurls("x.a.example"));
        assert!(!bot.unfurls("xa.example") && !bot.unfurls("example"));
    }
}
