//! What people do with a bot's card: buttons, selects, edits and forms.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::control::ControlError;
use crate::model::app::App;
use crate::model::chat::{Author, Callback, ChatMessage, Conversation};
use crate::model::user::User;
use crate::model::webhook::WebhookDelivery;
use crate::random;
use crate::signing;
use crate::sim::Sim;
use crate::state::State;
use crate::webhook::chat_payload::{BotOccasion, Times, interactive_jid, object, speaker, with_place};

/// How long an interactive event may be answered by its callback.
const CALLBACK_MINUTES: i64 = 30;

/// What somebody does with a card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "act", deny_unknown_fields)]
pub enum Act {
    /// Presses the button of this value.
    Click {
        /// The button's value.
        value: String,
    },
    /// Chooses the item of this value.
    Select {
        /// The item's value; of a list of members or channels, any.
        value: String,
    },
    /// Writes another text into the editable message.
    Edit {
        /// The new text.
        text: String,
        /// The present one, where several are editable.
        #[serde(default)]
        origin: Option<String>,
    },
    /// Writes another value into an editable field.
    EditField {
        /// The field's key.
        key: String,
        /// The new value.
        value: String,
    },
    /// Sends the form that the card is.
    Submit {
        /// Each element's answer, such as `{"action_id", "value"}`.
        items: Vec<Value>,
    },
}

struct Acted {
    event: &'static str,
    members: Map<String, Value>,
    has_callback: bool,
    times: Times,
}

impl Sim {
    /// A user does something with a card: the bot is told, and her own edits stay in the card.
    pub async fn act(
        &self,
        user_id: &str,
        message_id: &str,
        act: Act,
    ) -> Result<Vec<WebhookDelivery>, ControlError> {
        let user = self.speaking_user(user_id)?;
        self.prune_callbacks(self.now());
        let occasion = self.update(|state| self.acted(state, &user, message_id, act))?;
        Ok(self.tell_bot(occasion).await)
    }

    fn acted(
        &self,
        state: &mut State,
        user: &User,
        message_id: &str,
        act: Act,
    ) -> Result<BotOccasion, ControlError> {
        let message = state
            .chat
            .message(message_id)
            .filter(|message| sees(state, message, user))
            .cloned()
            .ok_or(ControlError::UnknownMessage)?;
        let (Author::Bot(client_id), Some(mut content)) = (&message.author, message.content.clone()) else {
            return Err(ControlError::Invalid("that message is no card".to_owned()));
        };
        let app = state.apps.get(client_id).cloned();
        let app = app.ok_or(ControlError::UnknownApp)?;
        let bot = app.bot.clone().ok_or(ControlError::UnknownBot)?;
        if !state.has_bot(client_id, &user.account_id) {
            return Err(ControlError::Invalid(
                "her account does not have that bot".to_owned(),
            ));
        }
        let original = original_of(&content);
        let acted = perform(act, &mut content)?;
        if let Some(message) = state.chat.message_mut(message_id) {
            message.content = Some(content);
        }
        let to_jid = interactive_jid(state, &message.conversation, user, &bot);
        if acted.times == Times::Top {
            let mut about = acted.members;
            about.extend(object(json!({
                "to_jid": to_jid,
                "robot_jid": bot.robot_jid,
                "user_jid": crate::model::chat::user_jid(&user.id),
            })));
            let payload = json!({ "account_id": user.account_id, "object": about });
            return Ok(BotOccasion {
                event: acted.event.to_owned(),
                client_id: app.client_id,
                user_id: user.id.clone(),
                top: Map::new(),
                payload: object(payload),
                times: Times::Top,
            });
        }
        let mut payload = with_place(speaker(user, &bot), state, &message.conversation, user, &to_jid);
        payload.insert("messageId".to_owned(), json!(message_id));
        payload.insert("original".to_owned(), original);
        payload.extend(acted.members);
        let top = if acted.has_callback && bot.callbacks {
            self.callback(state, &app, &message.conversation, user, to_jid)
        } else {
            Map::new()
        };
        Ok(BotOccasion {
            event: acted.event.to_owned(),
            client_id: app.client_id,
            user_id: user.id.clone(),
            top,
            payload,
            times: acted.times,
        })
    }

    /// `callback_url` and `callback_token`, and the right behind them.
    fn callback(
        &self,
        state: &mut State,
        app: &App,
        conversation: &Conversation,
        user: &User,
        to_jid: String,
    ) -> Map<String, Value> {
        let now = self.now();
        let expires_at = now + TimeDelta::minutes(CALLBACK_MINUTES);
        let id = random::short_id(self.rng());
        let claims = json!({
            "aud": "bot", "uid": user.id, "clientId": app.client_id, "iss": "zoom",
            "exp": expires_at.timestamp(), "iat": now.timestamp(), "aid": user.account_id, "jti": id,
        });
        let token = signing::es256_shaped(state.key(), &claims);
        let url = format!("{}/v2/im/chat/callback/{id}", self.0.urls.base_text());
        let top = object(json!({ "callback_url": url, "callback_token": token }));
        state.chat.callbacks.insert(
            id,
            Callback {
                client_id: app.client_id.clone(),
                conversation: conversation.clone(),
                user_id: user.id.clone(),
                to_jid,
                token,
                expires_at,
                used: false,
            },
        );
        top
    }
}

fn sees(state: &State, message: &ChatMessage, user: &User) -> bool {
    let there = match &message.conversation {
        Conversation::Channel { channel_id } => state
            .chat
            .channels
            .get(channel_id)
            .is_some_and(|channel| channel.member_ids.contains(&user.id)),
        Conversation::Bot { user_id, .. } => *user_id == user.id,
        Conversation::People { user_ids } => user_ids.contains(&user.id),
    };
    there && message.visible_to.as_ref().is_none_or(|only| *only == user.id)
}

/// Head and body of the card as it was.
fn original_of(content: &Value) -> Value {
    let members = ["head", "body"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), content.get(name)?.clone())));
    Value::Object(members.collect())
}

fn perform(act: Act, content: &mut Value) -> Result<Acted, ControlError> {
    let missing = |what: &str| ControlError::Invalid(format!("the card has no such {what}"));
    Ok(match act {
        Act::Click { value } => {
            let mut buttons = Vec::new();
            visit(content, &mut |element| {
                if element["type"] == "actions" {
                    buttons.extend(element["items"].as_array().into_iter().flatten().cloned());
                }
            });
            let button = buttons.into_iter().find(|item| item["value"] == value.as_str());
            let button = button
                .filter(|item| item["style"] != "Disabled")
                .ok_or_else(|| missing("button, or it is disabled"))?;
            Acted {
                event: "interactive_message_actions",
                members: object(json!({ "actionItem": { "text": button["text"], "value": value } })),
                has_callback: true,
                times: Times::Number,
            }
        }
        Act::Select { value } => {
            let mut found = false;
            visit(content, &mut |element| {
                let item = element["select_items"]
                    .as_array()
                    .and_then(|items| items.iter().find(|item| item["value"] == value.as_str()))
                    .cloned();
                let from_lists = element.get("static_source").is_some();
                if !found && element["type"] == "select" && (item.is_some() || from_lists) {
                    found = true;
                    element["selected_item"] =
                        item.unwrap_or_else(|| json!({ "text": value, "value": value }));
                }
            });
            if !found {
                return Err(missing("item to select"));
            }
            Acted {
                event: "interactive_message_select",
                members: object(json!({ "selectedItems": [{ "value": value }] })),
                has_callback: false,
                times: Times::Number,
            }
        }
        Act::Edit { text, origin } => {
            let mut before = None;
            visit(content, &mut |element| {
                let wanted = origin
                    .as_ref()
                    .is_none_or(|text| element["text"] == text.as_str());
                if before.is_none() && element["type"] == "message" && element["editable"] == true && wanted {
                    before = element["text"].as_str().map(str::to_owned);
                    element["text"] = json!(text);
                }
            });
            let before = before.ok_or_else(|| missing("editable message"))?;
            Acted {
                event: "interactive_message_editable",
                members: object(json!({ "editItem": { "origin": before, "target": text } })),
                has_callback: true,
                times: Times::Number,
            }
        }
        Act::EditField { key, value } => {
            let mut before = None;
            visit(content, &mut |element| {
                if element["type"] != "fields" {
                    return;
                }
                for item in element["items"].as_array_mut().into_iter().flatten() {
                    if before.is_none() && item["key"] == key.as_str() && item["editable"] == true {
                        before = item["value"].as_str().map(str::to_owned);
                        item["value"] = json!(value);
                    }
                }
            });
            let before = before.ok_or_else(|| missing("editable field"))?;
            let item = json!({ "currentValue": before, "key": key, "newValue": value });
            Acted {
                event: "interactive_message_fields_editable",
                members: object(json!({ "fieldEditItem": item })),
                has_callback: true,
                times: Times::Text,
            }
        }
        Act::Submit { items } => Acted {
            event: "chat_message.submit",
            members: object(json!({ "submit_items": items })),
            has_callback: false,
            times: Times::Top,
        },
    })
}

/// Shows every element of a card, those in sections and pages too.
pub(crate) fn visit(content: &mut Value, see: &mut impl FnMut(&mut Value)) {
    let Some(body) = content.get_mut("body").and_then(Value::as_array_mut) else {
        return;
    };
    visit_list(body, see);
}

fn visit_list(elements: &mut [Value], see: &mut impl FnMut(&mut Value)) {
    for element in elements.iter_mut().filter(|element| element.is_object()) {
        see(element);
        if let Some(inner) = element.get_mut("sections").and_then(Value::as_array_mut) {
            visit_list(inner, see);
        }
        for page in element
            .get_mut("pages")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            visit(page, see);
        }
    }
}
