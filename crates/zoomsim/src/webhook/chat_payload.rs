//! The bodies of a bot's events, with the members of Zoom's specification: capitals within the names of the old ones,
//! underscores in those of `team_chat.*` (Chatbot events specification; platform: requests to the bot endpoint).

use domicile_kernel::Timestamp;
use serde_json::{Map, Value, json};

use crate::model::app::App;
use crate::model::chat::{Bot, Conversation, user_jid};
use crate::model::user::User;
use crate::signing;
use crate::state::State;
use crate::webhook::recording_payload::zoom_time;

/// An event for one bot, all but its times.
#[derive(Debug, Clone)]
pub(crate) struct BotOccasion {
    pub event: String,
    pub client_id: String,
    /// Who did it.
    pub user_id: String,
    /// Members beside the payload, such as `callback_url`.
    pub top: Map<String, Value>,
    pub payload: Map<String, Value>,
    pub times: Times,
}

/// Where an event says when it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// `payload.timestamp` alone, without `event_ts`: `bot_installed`.
    PayloadOnly,
    /// `event_ts` and a number in `payload.timestamp`.
    Number,
    /// `event_ts` and a text in `payload.timestamp`: `interactive_message_fields_editable`.
    Text,
    /// `event_ts`, and `date_time` and `timestamp` in `payload.object`.
    Object,
    /// `event_ts` alone: `chat_message.submit`.
    Top,
}

impl BotOccasion {
    /// The body, with the time at which it happened.
    pub(crate) fn body(&self, happened: Timestamp) -> String {
        let millis = happened.timestamp_millis();
        let mut payload = self.payload.clone();
        match self.times {
            Times::PayloadOnly | Times::Number => {
                payload.insert("timestamp".to_owned(), json!(millis));
            }
            Times::Text => {
                payload.insert("timestamp".to_owned(), json!(millis.to_string()));
            }
            Times::Object => {
                if let Some(object) = payload.get_mut("object").and_then(Value::as_object_mut) {
                    object.insert("date_time".to_owned(), json!(zoom_time(happened)));
                    object.insert("timestamp".to_owned(), json!(millis));
                }
            }
            Times::Top => {}
        }
        let mut body = Map::new();
        body.insert("event".to_owned(), json!(self.event));
        if self.times != Times::PayloadOnly {
            body.insert("event_ts".to_owned(), json!(millis));
        }
        body.extend(self.top.clone());
        body.insert("payload".to_owned(), Value::Object(payload));
        Value::Object(body).to_string()
    }
}

/// What a bot and the one who speaks to it are called in the payloads of old; without the place, as in `bot_installed`.
pub(crate) fn speaker(user: &User, bot: &Bot) -> Map<String, Value> {
    object(json!({
        "accountId": user.account_id,
        "robotJid": bot.robot_jid,
        "userId": user.id,
        "userJid": user_jid(&user.id),
        "userName": user.display_name(),
    }))
}

/// Adds the place: `channelName`, and the `toJid` that an answer names.
pub(crate) fn with_place(
    mut payload: Map<String, Value>,
    state: &State,
    conversation: &Conversation,
    user: &User,
    to_jid: &str,
) -> Map<String, Value> {
    let name = match conversation {
        Conversation::Channel { channel_id } => state
            .chat
            .channels
            .get(channel_id)
            .map(|channel| channel.name.clone())
            .unwrap_or_default(),
        _ => user.display_name(),
    };
    payload.insert("channelName".to_owned(), json!(name));
    payload.insert("toJid".to_owned(), json!(to_jid));
    payload
}

/// The JID of the place, as `bot_notification` names it: a channel's, else the user's own.
pub(crate) fn place_jid(state: &State, conversation: &Conversation, user: &User) -> String {
    match conversation {
        Conversation::Channel { channel_id } => state
            .chat
            .channels
            .get(channel_id)
            .map(|channel| channel.jid.clone())
            .unwrap_or_default(),
        _ => user_jid(&user.id),
    }
}

/// The same in interactive events, where a 1:1 names the robot too.
pub(crate) fn interactive_jid(state: &State, conversation: &Conversation, user: &User, bot: &Bot) -> String {
    match conversation {
        Conversation::Channel { .. } => place_jid(state, conversation, user),
        _ => format!("{}/robot_{}", user_jid(&user.id), bot.robot_jid),
    }
}

/// The newer members of `bot_notification`.
pub(crate) fn newer_members(state: &State, app: &App, user: &User, trigger_id: &str) -> Map<String, Value> {
    let status = if state.has_bot_herself(app, &user.id) {
        "authorized"
    } else {
        "unauthorized"
    };
    object(json!({
        "triggerId": trigger_id,
        "userMemberId": member_id(state, &user.id),
        "userStatus": status,
    }))
}

/// The payload of a `team_chat.*` event. Of somebody from another account only the member id is told.
pub(crate) fn team_chat(
    state: &State,
    user: &User,
    is_external: bool,
    about: Map<String, Value>,
) -> Map<String, Value> {
    let known = |text: &str| {
        if is_external {
            String::new()
        } else {
            text.to_owned()
        }
    };
    let mut payload = object(json!({
        "account_id": known(&user.account_id),
        "operator": known(&user.email),
        "operator_id": known(&user.id),
        "operator_member_id": member_id(state, &user.id),
        "by_external_user": is_external,
    }));
    payload.insert("object".to_owned(), Value::Object(about));
    payload
}

/// Who somebody is to those who do not know her user id: 44 characters, the same each time.
pub(crate) fn member_id(state: &State, user_id: &str) -> String {
    let tag = signing::hmac_hex(state.key(), &[b"member:", user_id.as_bytes()]);
    tag.chars().take(44).collect()
}

/// The members of an object that is written here.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
