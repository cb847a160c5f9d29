use domicile_kernel::{Timestamp, ZoomAccountId, ZoomUserId};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{BotCallback, BotEvent, Message, Place, Said};
use crate::event::{EventError, from_json};
use crate::wire::Scalar;

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    event: Scalar,
    #[serde(default)]
    event_ts: Scalar,
    #[serde(default)]
    callback_url: Scalar,
    #[serde(default)]
    callback_token: Scalar,
    #[serde(default)]
    payload: Value,
}

/// An object of Zoom's, read member by member: each family of events spells its members in its own way, `camelCase` or
/// `snake_case`, and samples of one family mix both.
struct Members<'a>(Option<&'a Map<String, Value>>);

impl<'a> Members<'a> {
    fn of(value: Option<&'a Value>) -> Self {
        Self(value.and_then(Value::as_object))
    }

    fn get(&self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| self.0?.get(*name))
    }

    fn scalar(&self, names: &[&str]) -> Scalar {
        self.get(names)
            .and_then(|value| Scalar::deserialize(value).ok())
            .unwrap_or_default()
    }

    fn id(&self, field: &'static str, names: &[&str]) -> Result<Option<String>, EventError> {
        Ok(self.scalar(names).id(field)?)
    }

    /// Text that people wrote, also none at all.
    fn text(&self, names: &[&str]) -> String {
        self.scalar(names).text().unwrap_or_default()
    }

    fn time(&self, names: &[&str]) -> Option<Timestamp> {
        self.scalar(names).time()
    }

    fn raw(&self, names: &[&str]) -> Value {
        self.get(names).cloned().unwrap_or_default()
    }

    fn object(&self, names: &[&str]) -> Self {
        Self::of(self.get(names))
    }
}

impl BotEvent {
    /// Reads any event from a verified body. It fails only where nobody could be answered or told: without a name or an
    /// account, or where an id is malformed.
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        let body: Body = from_json(body)?;
        let event_type = body.event.id("event")?.ok_or(EventError::Missing("event"))?;
        let payload = Members::of(Some(&body.payload));
        let object = payload.object(&["object"]);
        let account_id = payload
            .id("payload.accountId", &["accountId", "account_id"])?
            .ok_or(EventError::Missing("payload.accountId"))?;
        let user_id = payload.id("payload.userId", &["userId", "user_id", "operator_id"])?;
        let either = |field, names: &[&str]| match payload.id(field, names)? {
            Some(id) => Ok(Some(id)),
            None => object.id(field, names),
        };
        Ok(Self {
            account_id: ZoomAccountId::new(account_id),
            user_id: user_id.map(ZoomUserId::new),
            user_jid: either("userJid", &["userJid", "user_jid"])?,
            user_name: payload.scalar(&["userName", "user_name", "operator"]).text(),
            user_status: payload.scalar(&["userStatus", "user_status"]).text(),
            by_external_user: payload.get(&["by_external_user"]) == Some(&Value::Bool(true)),
            robot_jid: either("robotJid", &["robotJid", "robot_jid"])?,
            place: place(&payload, &object)?,
            message_id: either("messageId", &["messageId", "message_id"])?,
            thread_id: either(
                "reply_main_message_id",
                &["reply_main_message_id", "replyMainMessageId"],
            )?,
            at: object
                .time(&["timestamp"])
                .or_else(|| object.time(&["date_time"]))
                .or_else(|| payload.time(&["timestamp"]))
                .or_else(|| body.event_ts.time()),
            callback: match (body.callback_url.secret(), body.callback_token.secret()) {
                (Some(url), Some(token)) => Some(BotCallback { url, token }),
                _ => None,
            },
            said: said(&event_type, &payload, &object, &body.payload)?,
            event_type,
        })
    }
}

fn place(payload: &Members<'_>, object: &Members<'_>) -> Result<Option<Place>, EventError> {
    let name = payload
        .scalar(&["channelName", "channel_name"])
        .text()
        .or_else(|| object.scalar(&["channel_name"]).text());
    let to_jid = match payload.id("payload.toJid", &["toJid", "to_jid"])? {
        Some(to_jid) => Some(to_jid),
        None => object.id("payload.object.to_jid", &["to_jid", "toJid"])?,
    };
    if let Some(to_jid) = to_jid {
        return Ok(Some(Place::Jid { to_jid, name }));
    }
    if let Some(id) = object.id("payload.object.channel_id", &["channel_id"])? {
        return Ok(Some(Place::Channel { id, name }));
    }
    let contact = object.id("payload.object.contact_id", &["contact_id"])?;
    Ok(contact.map(|id| Place::Contact { id }))
}

fn said(
    event_type: &str,
    payload: &Members<'_>,
    object: &Members<'_>,
    raw: &Value,
) -> Result<Said, EventError> {
    Ok(match event_type {
        "bot_installed" => Said::Installed,
        "app_deauthorized" => Said::Deauthorized,
        "bot_notification" => Said::Command {
            text: payload.text(&["cmd"]),
            trigger_id: payload.id("payload.triggerId", &["triggerId", "trigger_id"])?,
        },
        "interactive_message_actions" => {
            let item = payload.object(&["actionItem", "action_item"]);
            Said::Action {
                text: item.text(&["text"]),
                value: item.text(&["value"]),
            }
        }
        "interactive_message_select" => {
            let items = payload.get(&["selectedItems", "selected_items"]);
            let items = items.and_then(Value::as_array).into_iter().flatten();
            Said::Selection {
                values: items
                    .map(|item| Members::of(Some(item)).text(&["value"]))
                    .collect(),
            }
        }
        "interactive_message_editable" => {
            let edit = payload.object(&["editItem", "edit_item"]);
            Said::TextEdit {
                from: edit.text(&["origin"]),
                to: edit.text(&["target"]),
            }
        }
        "interactive_message_fields_editable" => {
            let edit = payload.object(&["fieldEditItem", "field_edit_item"]);
            Said::FieldEdit {
                key: edit.text(&["key"]),
                from: edit.text(&["currentValue", "current_value"]),
                to: edit.text(&["newValue", "new_value"]),
            }
        }
        "chat_message.submit" => Said::Submission {
            items: object.raw(&["submit_items", "submitItems"]),
        },
        "team_chat.app_mention" => Said::Mention(message(object)),
        "team_chat.channel_message_posted" | "team_chat.dm_message_posted" => Said::Posted(message(object)),
        "team_chat.link_shared" => Said::LinkShared {
            link: object.text(&["link"]),
            trigger_id: object
                .id("payload.object.trigger_id", &["trigger_id"])?
                .ok_or(EventError::Missing("payload.object.trigger_id"))?,
        },
        _ => Said::Other { payload: raw.clone() },
    })
}

fn message(object: &Members<'_>) -> Message {
    Message {
        text: object.text(&["message"]),
        files: object.raw(&["files"]),
        rich_text: object.raw(&["rich_text"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(event: &Value) -> BotEvent {
        BotEvent::parse(event.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_command_is_read_with_its_speaker_and_its_place() {
        let event = parse(
            &json!({"event": "bot_notification", "event_ts": 1_560_796_234_686_i64, "payload": {
            "accountId": "A", "channelName": "Photos", "cmd": " island 7", "robotJid": "v1@xmpp.zoom.us",
            "timestamp": 1_560_796_234_686_i64, "toJid": "b1c8@conference.xmpp.zoom.us", "userId": "KdYK",
            "userJid": "kdyk@xmpp.zoom.us", "userName": "Jill Chill", "userStatus": "authorized", "triggerId": "T"}}),
        );
        assert_eq!(event.account_id, ZoomAccountId::new("A"));
        assert_eq!(event.user_id, Some(ZoomUserId::new("KdYK")));
        assert_eq!(event.user_jid.as_deref(), Some("kdyk@xmpp.zoom.us"));
        assert_eq!(event.robot_jid.as_deref(), Some("v1@xmpp.zoom.us"));
        assert_eq!(event.user_status.as_deref(), Some("authorized"));
        assert!(event.place.as_ref().is_some_and(Place::is_shared));
        assert!(matches!(event.said, Said::Command { text, trigger_id: Some(_) } if text == " island 7"));
    }

    #[test]
    fn a_conversation_with_the_bot_is_not_shared_and_a_channel_is() {
        let jid = |to_jid: &str| Place::Jid {
            to_jid: to_jid.to_owned(),
            name: None,
        };
        assert!(!jid("kdyk@xmpp.zoom.us").is_shared());
        assert!(!jid("kdyk@xmpp.zoom.us/robot_v1@xmpp.zoom.us").is_shared());
        assert!(jid("b1c8@conference.xmpp.zoom.us").is_shared());
        assert!(jid("b1c8@conference.xmpp.zoom.us/robot_v1@xmpp.zoom.us").is_shared());
        assert!(jid("what is this").is_shared());
        assert!(
            Place::Channel {
                id: "c".to_owned(),
                name: None
            }
            .is_shared()
        );
    }

    #[test]
    fn each_way_to_act_on_a_message_is_read() {
        let acted = |event: &str, member: &str, value: Value| {
            parse(
                &json!({"event": event, "callback_url": "https://api.zoom.us/v2/im/chat/callback/x",
                "callback_token": "jwt", "payload": {"accountId": "A", "messageId": "M", "userId": "U", member: value}}),
            )
        };
        let action = acted(
            "interactive_message_actions",
            "actionItem",
            json!({"text": "Add", "value": "add"}),
        );
        assert_eq!(action.message_id.as_deref(), Some("M"));
        assert_eq!(
            action.callback.map(|it| it.token.expose().clone()).as_deref(),
            Some("jwt")
        );
        assert!(matches!(action.said, Said::Action { text, value } if text == "Add" && value == "add"));
        let items = json!([{"value": "lions"}, {"value": "bears"}]);
        let selection = acted("interactive_message_select", "selectedItems", items);
        assert!(matches!(selection.said, Said::Selection { values } if values == ["lions", "bears"]));
        let edit = acted(
            "interactive_message_editable",
            "editItem",
            json!({"origin": "a", "target": "b"}),
        );
        assert!(matches!(edit.said, Said::TextEdit { from, to } if from == "a" && to == "b"));
        let item = json!({"key": "Title", "currentValue": "", "newValue": "Engineer"});
        let field = acted(
            "interactive_message_fields_editable",
            "fieldEditItem",
            item.clone(),
        );
        assert!(
            matches!(field.said, Said::FieldEdit { key, from, to } if key == "Title" && from.is_empty() && to == "Engineer")
        );
        let field = acted("interactive_message_fields_editable", "field_edit_item", item);
        assert!(matches!(field.said, Said::FieldEdit { key, .. } if key == "Title"));
    }

    #[test]
    fn the_team_chat_family_is_read_too() {
        let mention = parse(
            &json!({"event": "team_chat.app_mention", "payload": {"account_id": "A", "operator": "j@example.com",
            "operator_id": "U", "by_external_user": true, "object": {"message_id": "M", "type": "to_channel", "channel_id": "C",
            "channel_name": "Team", "message": "hello", "files": [{"file_id": "F"}], "reply_main_message_id": "H"}}}),
        );
        assert!(mention.by_external_user);
        assert_eq!(mention.thread_id.as_deref(), Some("H"));
        assert!(matches!(&mention.place, Some(Place::Channel { id, .. }) if id == "C"));
        assert!(
            matches!(&mention.said, Said::Mention(it) if it.text == "hello" && it.files[0]["file_id"] == "F")
        );
        let link = parse(
            &json!({"event": "team_chat.link_shared", "payload": {"account_id": "A", "operator_id": "U",
            "object": {"link": "https://app.example.com/1", "trigger_id": "T", "contact_id": "V"}}}),
        );
        assert!(matches!(link.place, Some(Place::Contact { id }) if id == "V"));
        assert!(matches!(link.said, Said::LinkShared { trigger_id, .. } if trigger_id == "T"));
        let submitted = parse(
            &json!({"event": "chat_message.submit", "payload": {"account_id": "A",
            "object": {"to_jid": "c@conference.xmpp.zoom.us", "user_jid": "u@xmpp.zoom.us", "robot_jid": "v@xmpp.zoom.us",
            "submit_items": [{"action_id": "x", "value": 1}]}}}),
        );
        assert_eq!(submitted.robot_jid.as_deref(), Some("v@xmpp.zoom.us"));
        assert!(matches!(submitted.said, Said::Submission { items } if items[0]["value"] == 1));
    }

    #[test]
    fn what_is_not_known_is_passed_on_whole_and_what_is_spelt_twice_is_no_fault() {
        let event = parse(
            &json!({"event": "team_chat.something_new", "payload": {"account_id": "A", "accountId": "A", "x": [1]}}),
        );
        assert!(matches!(event.said, Said::Other { payload } if payload["x"] == json!([1])));
    }

    #[test]
    fn without_an_account_nobody_can_be_answered() {
        for (body, expected) in [
            (
                json!({"event": "bot_notification", "payload": {}}),
                EventError::Missing("payload.accountId"),
            ),
            (
                json!({"payload": {"accountId": "A"}}),
                EventError::Missing("event"),
            ),
            (
                json!({"event": "bot_notification", "payload": {"accountId": "A", "userId": {}}}),
                EventError::Malformed("payload.userId"),
            ),
            (
                json!({"event": "team_chat.link_shared", "payload": {"account_id": "A", "object": {"link": "l"}}}),
                EventError::Missing("payload.object.trigger_id"),
            ),
        ] {
            let parsed = BotEvent::parse(body.to_string().as_bytes());
            assert_eq!(parsed.err(), Some(expected), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in ".{0,200}", name in "[a-z_.]{0,30}", value in any::<i64>()) {
            let _ = BotEvent::parse(body.as_bytes());
            let odd = json!({"event": name, "payload": {"accountId": value, "object": body, "toJid": value}});
            let _ = BotEvent::parse(odd.to_string().as_bytes());
        }
    }
}
