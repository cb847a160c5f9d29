//! What people do in Team Chat: channels, messages, slash commands, mentions and links.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use crate::control::ControlError;
use crate::model::app::App;
use crate::model::chat::{Author, Channel, ChatMessage, Conversation, NewChannel, Place, Unfurl};
use crate::model::user::{User, UserStatus};
use crate::model::webhook::WebhookDelivery;
use crate::random;
use crate::sim::Sim;
use crate::state::State;
use crate::webhook::chat_payload::{
    BotOccasion, Times, member_id, newer_members, object, place_jid, speaker, team_chat, with_place,
};

/// Something that a user writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// Who.
    pub user_id: String,
    /// Where.
    pub to: Place,
    /// What: a slash command such as `/minutebook help`, an `@Name of the app`, links, or anything.
    pub text: String,
    /// The message that she answers.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// The attached files, as `team_chat.app_mention` tells of them.
    #[serde(default)]
    pub files: Vec<Value>,
    /// The formatting of the text, as `team_chat.app_mention` tells of it.
    #[serde(default)]
    pub rich_text: Vec<Value>,
}

impl Say {
    /// This text of this user's, there.
    pub fn new(user_id: &str, to: Place, text: &str) -> Self {
        Self {
            user_id: user_id.to_owned(),
            to,
            text: text.to_owned(),
            reply_to: None,
            files: Vec::new(),
            rich_text: Vec::new(),
        }
    }
}

/// A message, and whom it was told.
#[derive(Clone, Serialize)]
pub struct Said {
    /// The message; absent for a slash command, which nobody but the bot sees.
    pub message: Option<ChatMessage>,
    /// The rows of the webhook log.
    pub deliveries: Vec<WebhookDelivery>,
}

impl Sim {
    /// Makes a channel.
    pub fn create_channel(&self, new: NewChannel) -> Result<Channel, ControlError> {
        let members: Vec<User> = new
            .member_ids
            .iter()
            .map(|id| self.user(id))
            .collect::<Result<_, _>>()?;
        let Some(first) = members.first() else {
            return Err(ControlError::Invalid("a channel has a member".to_owned()));
        };
        let id = new.id.unwrap_or_else(|| random::hex_text::<16>(self.rng()));
        let channel = Channel {
            jid: format!("{id}@conference.xmpp.zoom.us"),
            name: new.name.unwrap_or_else(|| "General".to_owned()),
            account_id: new.account_id.unwrap_or_else(|| first.account_id.clone()),
            member_ids: new.member_ids,
            id,
        };
        self.update(|state| {
            if state.chat.channels.contains_key(&channel.id) {
                return Err(ControlError::Taken("the channel's id"));
            }
            state.chat.channels.insert(channel.id.clone(), channel.clone());
            Ok(channel)
        })
    }

    /// Puts users into a channel.
    pub fn add_members(&self, channel_id: &str, user_ids: &[String]) -> Result<Channel, ControlError> {
        for id in user_ids {
            self.user(id)?;
        }
        self.update(|state| {
            let channel = state.chat.channels.get_mut(channel_id);
            let channel = channel.ok_or(ControlError::UnknownChannel)?;
            for id in user_ids {
                if !channel.member_ids.contains(id) {
                    channel.member_ids.push(id.clone());
                }
            }
            Ok(channel.clone())
        })
    }

    /// All channels.
    pub fn channels(&self) -> Vec<Channel> {
        self.read(|state| state.chat.channels.values().cloned().collect())
    }

    /// One channel.
    pub fn channel(&self, id: &str) -> Result<Channel, ControlError> {
        self.read(|state| state.chat.channels.get(id).cloned())
            .ok_or(ControlError::UnknownChannel)
    }

    /// The messages that this user sees there, oldest first; without a user all of them.
    pub fn chat_messages(&self, place: &Place, user_id: Option<&str>) -> Vec<ChatMessage> {
        let conversation = user_id.map(|id| Conversation::of(place, id));
        self.read(|state| {
            let there = |message: &&ChatMessage| match (&conversation, place, &message.conversation) {
                (Some(wanted), _, is) => wanted == is,
                (None, Place::Channel(id), Conversation::Channel { channel_id }) => id == channel_id,
                (None, Place::Bot(id), Conversation::Bot { client_id, .. }) => id == client_id,
                (None, Place::User(id), Conversation::People { user_ids }) => user_ids.contains(id),
                _ => false,
            };
            let seen = |message: &&ChatMessage| {
                user_id.is_none_or(|id| message.visible_to.as_deref().is_none_or(|only| only == id))
            };
            let messages = state.chat.messages.iter();
            messages.filter(there).filter(seen).cloned().collect()
        })
    }

    /// A user writes. What bots hear of it follows from the text and the place.
    pub async fn say(&self, order: Say) -> Result<Said, ControlError> {
        let user = self.speaking_user(&order.user_id)?;
        let conversation = self.conversation(&order.to, &user)?;
        if order.text.trim().is_empty() {
            return Err(ControlError::Invalid("there is no text".to_owned()));
        }
        let (message, occasions) = self.update(|state| match slash_command(state, &order.text, &user) {
            Some((app, cmd)) => {
                let told = self.notification(state, &app, &conversation, &user, &cmd);
                (None, told.into_iter().collect())
            }
            None => {
                let message = self.write_down(state, &order, &conversation, &user);
                let told = self.hearers(state, &order, &message, &user);
                (Some(message), told)
            }
        });
        let mut deliveries = Vec::new();
        for occasion in occasions {
            deliveries.extend(self.tell_bot(occasion).await);
        }
        Ok(Said { message, deliveries })
    }

    /// A user mentions a bot in a channel: the text begins with its name.
    pub async fn mention(
        &self,
        client_id: &str,
        user_id: &str,
        channel_id: &str,
        text: &str,
    ) -> Result<Said, ControlError> {
        let name = self.app(client_id)?.name;
        let to = Place::Channel(channel_id.to_owned());
        self.say(Say::new(user_id, to, &format!("@{name} {text}"))).await
    }

    pub(crate) fn speaking_user(&self, id: &str) -> Result<User, ControlError> {
        let user = self.user(id)?;
        if user.status == UserStatus::Active {
            Ok(user)
        } else {
            Err(ControlError::Invalid("the user is not active".to_owned()))
        }
    }

    fn conversation(&self, place: &Place, user: &User) -> Result<Conversation, ControlError> {
        match place {
            Place::Channel(id) => {
                if !self.channel(id)?.member_ids.contains(&user.id) {
                    return Err(ControlError::Invalid("she is not in that channel".to_owned()));
                }
            }
            Place::Bot(client_id) => {
                let app = self.app(client_id)?;
                if app.bot.is_none() {
                    return Err(ControlError::UnknownBot);
                }
                if !self.read(|state| state.has_bot_herself(&app, &user.id)) {
                    return Err(ControlError::Invalid("she does not have that bot".to_owned()));
                }
            }
            Place::User(id) => {
                self.user(id)?;
            }
        }
        Ok(Conversation::of(place, &user.id))
    }

    fn write_down(
        &self,
        state: &mut State,
        order: &Say,
        conversation: &Conversation,
        user: &User,
    ) -> ChatMessage {
        let unfurls = links(&order.text)
            .flat_map(|link| {
                let host = link.host_str().unwrap_or_default().to_owned();
                let apps: Vec<String> = hearing_apps(state, conversation, user)
                    .filter(|app| app.bot.as_ref().is_some_and(|bot| bot.unfurls(&host)))
                    .map(|app| app.client_id.clone())
                    .collect();
                apps.into_iter()
                    .map(move |client_id| (link.to_string(), client_id))
            })
            .map(|(link, client_id)| Unfurl {
                link,
                trigger_id: random::short_id(self.rng()),
                client_id,
                content: None,
            })
            .collect();
        let message = ChatMessage {
            id: random::message_uuid(self.rng()),
            conversation: conversation.clone(),
            author: Author::User(user.id.clone()),
            text: order.text.clone(),
            content: None,
            is_markdown_support: false,
            reply_to: order.reply_to.clone(),
            visible_to: None,
            user_jid: None,
            sent_at: self.now(),
            edited_at: None,
            edits: 0,
            unfurls,
        };
        state.chat.add(message.clone());
        message
    }

    /// `bot_notification`: what follows the slash command, or the text of a 1:1.
    fn notification(
        &self,
        state: &State,
        app: &App,
        conversation: &Conversation,
        user: &User,
        cmd: &str,
    ) -> Option<BotOccasion> {
        let bot = app.bot.as_ref()?;
        let to_jid = place_jid(state, conversation, user);
        let mut payload = with_place(speaker(user, bot), state, conversation, user, &to_jid);
        payload.insert("cmd".to_owned(), json!(cmd));
        payload.insert("name".to_owned(), json!(app.name));
        if bot.newer_members {
            let trigger_id = random::short_id(self.rng());
            payload.extend(newer_members(state, app, user, &trigger_id));
        }
        Some(BotOccasion {
            event: "bot_notification".to_owned(),
            client_id: app.client_id.clone(),
            user_id: user.id.clone(),
            top: Map::new(),
            payload,
            times: Times::Number,
        })
    }

    /// Everything that bots hear of a message.
    fn hearers(&self, state: &State, order: &Say, message: &ChatMessage, user: &User) -> Vec<BotOccasion> {
        let mut told = Vec::new();
        if let Conversation::Bot { client_id, .. } = &message.conversation
            && let Some(app) = state.apps.get(client_id)
        {
            told.extend(self.notification(state, app, &message.conversation, user, &order.text));
        }
        for app in hearing_apps(state, &message.conversation, user) {
            let mentioned = order.text.contains(&format!("@{}", app.name));
            let is_channel = matches!(message.conversation, Conversation::Channel { .. });
            if mentioned && is_channel {
                let about = mention_object(state, order, message);
                told.push(occasion(
                    state,
                    app,
                    user,
                    message,
                    "team_chat.app_mention",
                    about,
                ));
            }
            if app.bot.as_ref().is_some_and(|bot| bot.hears_messages) {
                let (event, about) = posted_object(state, order, message, user);
                told.push(occasion(state, app, user, message, event, about));
            }
            for unfurl in message.unfurls.iter().filter(|it| it.client_id == app.client_id) {
                let about = link_object(state, message, user, unfurl);
                let mut shared = occasion(state, app, user, message, "team_chat.link_shared", about);
                let base = self.0.urls.base_text();
                let url = format!(
                    "{base}/v2/im/chat/users/{}/unfurls/{}",
                    user.id, unfurl.trigger_id
                );
                shared.top.insert("response_url".to_owned(), json!(url));
                told.push(shared);
            }
        }
        told
    }
}

/// The app whose slash command begins the text, where the speaker's account has it, and what follows.
fn slash_command(state: &State, text: &str, user: &User) -> Option<(App, String)> {
    let (command, rest) = text.strip_prefix('/').map(|text| {
        text.split_once(char::is_whitespace)
            .map_or((text, ""), |(command, rest)| (command, rest.trim()))
    })?;
    let mut apps = state.apps.values();
    let app = apps.find(|app| {
        app.bot.as_ref().is_some_and(|bot| bot.slash_command == command)
            && state.has_bot(&app.client_id, &user.account_id)
    })?;
    Some((app.clone(), rest.to_owned()))
}

/// The apps with a bot in the account that owns the place.
fn hearing_apps<'a>(
    state: &'a State,
    conversation: &Conversation,
    user: &User,
) -> impl Iterator<Item = &'a App> {
    let account_id = match conversation {
        Conversation::Channel { channel_id } => state
            .chat
            .channels
            .get(channel_id)
            .map(|channel| channel.account_id.clone()),
        Conversation::People { .. } => Some(user.account_id.clone()),
        // A 1:1 with a bot is its notification already.
        Conversation::Bot { .. } => None,
    };
    state.apps.values().filter(move |app| {
        app.bot.is_some()
            && account_id
                .as_ref()
                .is_some_and(|account_id| state.has_bot(&app.client_id, account_id))
    })
}

/// The web addresses of a text.
fn links(text: &str) -> impl Iterator<Item = Url> {
    text.split_whitespace()
        .filter(|word| word.starts_with("https://") || word.starts_with("http://"))
        .filter_map(|word| Url::parse(word).ok())
}

fn occasion(
    state: &State,
    app: &App,
    user: &User,
    message: &ChatMessage,
    event: &str,
    about: Map<String, Value>,
) -> BotOccasion {
    let is_external = match &message.conversation {
        Conversation::Channel { channel_id } => state
            .chat
            .channels
            .get(channel_id)
            .is_some_and(|channel| channel.account_id != user.account_id),
        _ => false,
    };
    BotOccasion {
        event: event.to_owned(),
        client_id: app.client_id.clone(),
        user_id: user.id.clone(),
        top: Map::new(),
        payload: team_chat(state, user, is_external, about),
        times: Times::Object,
    }
}

/// The message's id and what it answers.
fn message_object(message: &ChatMessage) -> Map<String, Value> {
    let mut about = object(json!({ "message_id": message.id }));
    if let Some(parent) = &message.reply_to {
        about.insert("reply_main_message_id".to_owned(), json!(parent));
    }
    about
}

fn with_text(about: &mut Map<String, Value>, order: &Say) {
    about.insert("message".to_owned(), json!(order.text));
    if !order.files.is_empty() {
        about.insert("files".to_owned(), json!(order.files));
    }
    if !order.rich_text.is_empty() {
        about.insert("rich_text".to_owned(), json!(order.rich_text));
    }
}

fn channel_of<'a>(state: &'a State, message: &ChatMessage) -> Option<&'a Channel> {
    match &message.conversation {
        Conversation::Channel { channel_id } => state.chat.channels.get(channel_id),
        _ => None,
    }
}

fn mention_object(state: &State, order: &Say, message: &ChatMessage) -> Map<String, Value> {
    let mut about = message_object(message);
    about.insert("type".to_owned(), json!("to_channel"));
    if let Some(channel) = channel_of(state, message) {
        about.insert("channel_id".to_owned(), json!(channel.id));
        about.insert("channel_name".to_owned(), json!(channel.name));
    }
    with_text(&mut about, order);
    about
}

fn posted_object(
    state: &State,
    order: &Say,
    message: &ChatMessage,
    user: &User,
) -> (&'static str, Map<String, Value>) {
    let mut about = message_object(message);
    let event = if let Some(channel) = channel_of(state, message) {
        about.extend(object(json!({
            "session_id": channel.id,
            "channel_id": channel.id,
            "channel_name": channel.name,
            "channel_owner_account_id": channel.account_id,
        })));
        "team_chat.channel_message_posted"
    } else {
        if let Some(contact) = contact_of(state, message, user) {
            about.extend(object(json!({
                "session_id": member_id(state, &contact.id),
                "contact_id": contact.id,
                "contact_email": contact.email,
                "contact_account_id": contact.account_id,
                "contact_member_id": member_id(state, &contact.id),
            })));
        }
        "team_chat.dm_message_posted"
    };
    with_text(&mut about, order);
    (event, about)
}

fn link_object(state: &State, message: &ChatMessage, user: &User, unfurl: &Unfurl) -> Map<String, Value> {
    let mut about = message_object(message);
    if let Some(channel) = channel_of(state, message) {
        about.extend(object(json!({
            "type": "to_channel",
            "channel_id": channel.id,
            "channel_name": channel.name,
        })));
    } else {
        about.insert("type".to_owned(), json!("to_contact"));
        if let Some(contact) = contact_of(state, message, user) {
            about.insert(
                "contact_member_id".to_owned(),
                json!(member_id(state, &contact.id)),
            );
            if contact.account_id == user.account_id {
                about.insert("contact_id".to_owned(), json!(contact.id));
            }
        }
    }
    about.insert("trigger_id".to_owned(), json!(unfurl.trigger_id));
    about.insert("link".to_owned(), json!(unfurl.link));
    about
}

fn contact_of<'a>(state: &'a State, message: &ChatMessage, user: &User) -> Option<&'a User> {
    match &message.conversation {
        Conversation::People { user_ids } => user_ids
            .iter()
            .find(|id| **id != user.id)
            .and_then(|id| state.users.get(id)),
        _ => None,
    }
}
