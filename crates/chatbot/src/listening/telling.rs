//! What the app is told of what was said.

use domicile_kernel::{BotMessageId, Timestamp};
use domicile_zoom::event::bot::{BotEvent, Message, Place, Said};
use serde_json::{Value, json};

/// The version of the shape of the events' data.
pub(super) const VERSION: i16 = 1;

/// The events that may be answered in the response to their delivery.
const ANSWERABLE: [&str; 9] = [
    "bot.command",
    "bot.action",
    "bot.selection",
    "bot.edit",
    "bot.submission",
    "bot.mention",
    "bot.message",
    "bot.link_shared",
    "bot.installed",
];

/// Whether the app may answer events of this type in its response.
pub(super) fn is_answerable(event_type: &str) -> bool {
    ANSWERABLE.contains(&event_type)
}

/// The type of the event for the app.
pub(super) fn event_type(said: &Said) -> &'static str {
    match said {
        Said::Installed => "bot.installed",
        Said::Deauthorized => "bot.uninstalled",
        Said::Command { .. } => "bot.command",
        Said::Action { .. } => "bot.action",
        Said::Selection { .. } => "bot.selection",
        Said::TextEdit { .. } | Said::FieldEdit { .. } => "bot.edit",
        Said::Submission { .. } => "bot.submission",
        Said::Mention(_) => "bot.mention",
        Said::Posted(_) => "bot.message",
        Said::LinkShared { .. } => "bot.link_shared",
        Said::Other { .. } => "bot.event",
    }
}

/// The data of the event; `about` is the bot's own message that was acted on.
pub(super) fn data(event: &BotEvent, about: Option<BotMessageId>, said_at: Timestamp) -> Value {
    let mut data = json!({
        "speaker": {
            "zoom": { "account_id": event.account_id, "user_id": event.user_id },
            "name": event.user_name,
            "status": event.user_status,
            "external": event.by_external_user,
        },
        "conversation": event.place.as_ref().map(conversation),
        "message": {
            "id": about,
            "zoom_message_id": event.message_id,
            "zoom_thread_id": event.thread_id,
        },
        "said_at": said_at,
    });
    let (name, what) = what(event);
    if let Value::Object(members) = &mut data {
        members.insert(name.to_owned(), what);
    }
    data
}

fn conversation(place: &Place) -> Value {
    let (jid, channel, contact, name) = match place {
        Place::Jid { to_jid, name } => (Some(to_jid), None, None, name.as_ref()),
        Place::Channel { id, name } => (None, Some(id), None, name.as_ref()),
        Place::Contact { id } => (None, None, Some(id), None),
    };
    json!({
        "shared": place.is_shared(),
        "jid": jid,
        "channel_id": channel,
        "contact_id": contact,
        "name": name,
    })
}

fn what(event: &BotEvent) -> (&'static str, Value) {
    match &event.said {
        Said::Installed => ("installation", json!({})),
        Said::Deauthorized => ("uninstallation", json!({})),
        Said::Command { text, trigger_id } => {
            let text = text.trim();
            let (name, arguments) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            let command = json!({
                "text": text, "name": name, "arguments": arguments.trim_start(), "trigger_id": trigger_id,
            });
            ("command", command)
        }
        Said::Action { text, value } => ("action", json!({ "text": text, "value": value })),
        Said::Selection { values } => ("selection", json!({ "values": values })),
        Said::TextEdit { from, to } => ("edit", json!({ "field": null, "from": from, "to": to })),
        Said::FieldEdit { key, from, to } => ("edit", json!({ "field": key, "from": from, "to": to })),
        Said::Submission { items } => ("submission", json!({ "items": items })),
        Said::Mention(message) => ("mention", written(message)),
        Said::Posted(message) => ("post", written(message)),
        Said::LinkShared { link, trigger_id } => ("link", json!({ "url": link, "trigger_id": trigger_id })),
        Said::Other { payload } => ("event", json!({ "type": event.event_type, "payload": payload })),
    }
}

fn written(message: &Message) -> Value {
    json!({ "text": message.text, "files": message.files, "rich_text": message.rich_text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(event: &Value) -> BotEvent {
        BotEvent::parse(event.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_command_is_told_in_its_parts_with_who_said_it_where() {
        let event = event(
            &json!({"event": "bot_notification", "payload": {"accountId": "A", "userId": "U",
            "userName": "Jill", "cmd": " Orders  open today ", "toJid": "u@xmpp.zoom.us", "channelName": "Jill"}}),
        );
        let data = data(&event, None, chrono::DateTime::UNIX_EPOCH);
        assert_eq!(event_type(&event.said), "bot.command");
        assert_eq!(
            data,
            json!({
                "speaker": {"zoom": {"account_id": "A", "user_id": "U"}, "name": "Jill", "status": null, "external": false},
                "conversation": {"shared": false, "jid": "u@xmpp.zoom.us", "channel_id": null, "contact_id": null, "name": "Jill"},
                "message": {"id": null, "zoom_message_id": null, "zoom_thread_id": null},
                "said_at": "1970-01-01T00:00:00Z",
                "command": {"text": "Orders  open today", "name": "Orders", "arguments": "open today", "trigger_id": null},
            })
        );
    }

    #[test]
    fn what_nobody_knows_yet_is_passed_on_whole() {
        let event = event(&json!({"event": "bot_danced", "payload": {"accountId": "A", "steps": [1, 2]}}));
        assert_eq!(event_type(&event.said), "bot.event");
        let data = data(&event, None, chrono::DateTime::UNIX_EPOCH);
        assert_eq!(
            data["event"],
            json!({"type": "bot_danced", "payload": {"accountId": "A", "steps": [1, 2]}})
        );
    }
}
