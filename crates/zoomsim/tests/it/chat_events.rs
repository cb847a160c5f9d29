//! Each event that a bot gets has the members of the example in Zoom's specification: always of the list here, which was
//! taken from it, and of the file itself where `DOMICILE_TEST_ZOOM_OPENAPI` names its folder.

use std::collections::BTreeSet;
use std::path::PathBuf;

use domicile_zoomsim::{Act, NewBot, Say, Usage};
use serde_json::{Value, json};

use crate::chat::{Chat, chat_with};

const FILE: &str = "chatbot_events.openapi.2026-02-07.json";

/// The paths of the examples' members in the specification of 7 February 2026.
const EXAMPLES: &str = include_str!("chat_events_members.json");

/// The names of all members, with those above them; items of lists share one name.
fn members(value: &Value, above: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = format!("{above}/{name}");
                members(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| members(item, above, found)),
        _ => {}
    }
}

fn members_of(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    members(value, "", &mut found);
    found
}

/// The examples of the specification, by event, where it is present.
fn specification() -> Option<Vec<(String, Value)>> {
    let folder = PathBuf::from(std::env::var_os("DOMICILE_TEST_ZOOM_OPENAPI")?);
    let text = std::fs::read(folder.join(FILE)).unwrap();
    let specification: Value = serde_json::from_slice(&text).unwrap();
    let paths = specification["paths"].as_object().unwrap();
    let examples = paths.iter().map(|(event, path)| {
        let example = &path["post"]["requestBody"]["content"]["application/json"]["examples"];
        let example = &example["json-example"]["value"];
        let example = match example.as_str() {
            Some(text) => serde_json::from_str(text).unwrap(),
            None => example.clone(),
        };
        (event.clone(), example)
    });
    Some(examples.collect())
}

/// What the simulator sends for each, with a card like the example's.
async fn sent() -> Vec<Value> {
    let chat = chat_with(Usage::AdminManaged, |bot| NewBot {
        unfurl_domains: vec!["sg.com".into()],
        ..bot
    })
    .await;
    let mut sent = vec![chat.last()];
    let sim = chat.world.sim();
    let say = Say::new(&chat.user.id, chat.in_channel(), "/minutebook island");
    sim.say(say).await.unwrap();
    sent.push(chat.last());
    let parent = sim
        .say(Say::new(&chat.user.id, chat.in_channel(), "hello"))
        .await
        .unwrap();
    let parent = parent.message.map(|message| message.id);
    let mention = Say {
        reply_to: parent.clone(),
        files: vec![json!({
            "file_id": "56bed9orRnOSEnBoX_HQvA", "file_name": "a.png", "file_size": 23_025, "OS_file_type": "PNG",
            "file_message_type": "image",
        })],
        rich_text: vec![json!({
            "start_position": 2, "end_position": 3, "format_type": "AddLink", "format_attr": "https://a.example/",
        })],
        ..Say::new(&chat.user.id, chat.in_channel(), "@Minutebook hello")
    };
    sim.say(mention).await.unwrap();
    sent.push(chat.last());
    let share = Say {
        reply_to: parent,
        ..Say::new(&chat.user.id, chat.in_channel(), "https://sg.com/1234w")
    };
    sim.say(share).await.unwrap();
    sent.push(chat.last());
    sent.extend(acted(&chat).await);
    sent
}

async fn acted(chat: &Chat) -> Vec<Value> {
    let mut sent = Vec::new();
    for (element, act) in [
        (
            json!({ "type": "actions", "items": [{ "style": "Primary", "text": "Add", "value": "add" }] }),
            Act::Click { value: "add".into() },
        ),
        (
            json!({ "type": "select", "text": "Animals", "select_items": [{ "text": "Lions", "value": "lions" }] }),
            Act::Select {
                value: "lions".into(),
            },
        ),
        (
            json!({ "type": "message", "text": "I am editable", "editable": true }),
            Act::Edit {
                text: "I was edited".into(),
                origin: None,
            },
        ),
        (
            json!({ "type": "fields", "items": [{ "key": "Title", "value": "", "editable": true }] }),
            Act::EditField {
                key: "Title".into(),
                value: "Engineer".into(),
            },
        ),
    ] {
        let card = json!({
            "head": { "text": "I am a header", "sub_head": { "text": "I am a sub header" } }, "body": [element],
        });
        let id = chat.sent(&chat.user_jid(), &card).await;
        sent.push(chat.acted(&id, act).await);
        let original = &chat.last()["payload"]["original"];
        assert_eq!(original, &card, "as it was before the act");
    }
    sent
}

#[actix_web::test]
async fn every_event_has_the_members_of_zooms_example() {
    let sent = sent().await;
    let listed: Vec<(String, BTreeSet<String>)> = serde_json::from_str(EXAMPLES).unwrap();
    assert_eq!(listed.len(), 8);
    let find = |event: &str| sent.iter().find(|body| body["event"] == event).unwrap();
    for (event, members) in &listed {
        assert_eq!(&members_of(find(event)), members, "{event}");
    }
    for (event, example) in specification().into_iter().flatten() {
        assert_eq!(members_of(find(&event)), members_of(&example), "{event}");
    }
}

#[actix_web::test]
async fn the_times_have_the_types_of_the_specification() {
    for body in sent().await {
        let event = body["event"].as_str().unwrap();
        match event {
            "bot_installed" => assert!(body.get("event_ts").is_none()),
            _ => assert!(body["event_ts"].is_i64(), "{event}"),
        }
        let timestamp = &body["payload"]["timestamp"];
        match event {
            "interactive_message_fields_editable" => assert!(timestamp.is_string(), "typed so in the schema"),
            name if name.starts_with("team_chat.") => {
                assert!(body["payload"]["object"]["timestamp"].is_i64());
                assert_eq!(body["payload"]["object"]["date_time"], "2026-11-22T10:00:00Z");
            }
            _ => assert!(timestamp.is_i64(), "{event}"),
        }
    }
}

#[actix_web::test]
async fn a_form_is_submitted_and_what_the_card_lacks_cannot_be_used() {
    let chat = chat_with(Usage::AdminManaged, |bot| bot).await;
    let card = json!({ "body": [
        { "type": "plain_text_input", "action_id": "name", "text": "Name" },
        { "type": "actions", "items": [{ "text": "Off", "value": "off", "style": "Disabled" }] },
    ] });
    let id = chat.sent(&chat.user_jid(), &card).await;
    let items = vec![json!({ "action_id": "name", "value": "Ada" })];
    let told = chat.acted(&id, Act::Submit { items: items.clone() }).await;
    assert_eq!(told["event"], "chat_message.submit");
    let object = &told["payload"]["object"];
    assert_eq!(object["submit_items"], json!(items));
    assert_eq!(object["robot_jid"], "v1abc@xmpp.zoom.us");
    assert_eq!(object["user_jid"], chat.user_jid());
    for act in [
        Act::Click { value: "off".into() },
        Act::Click { value: "no".into() },
        Act::Select { value: "x".into() },
        Act::Edit {
            text: "x".into(),
            origin: None,
        },
        Act::EditField {
            key: "k".into(),
            value: "v".into(),
        },
    ] {
        let refused = chat.world.sim().act(&chat.user.id, &id, act.clone()).await;
        assert!(refused.is_err(), "{act:?}");
    }
}
