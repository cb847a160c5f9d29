//! Every example of Zoom's specification of the bot's events is kept, and reaches the app as the right event: always those
//! here, which have the members of the specification's, and its own where `DOMICILE_TEST_ZOOM_OPENAPI` names its folder.

use std::path::PathBuf;

use domicile_kernel::Secret;
use domicile_zoom::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use http::Request;
use serde_json::{Value, json};

use crate::harness::browser::call;
use crate::harness::chat::{BOT_SECRET, Chat, ROBOT_JID};
use crate::harness::eventually;

const FILE: &str = "chatbot_events.openapi.2026-02-07.json";
const OWN: &str = include_str!("examples.json");

/// What each event is called for the app, and the member of its data that says what was said.
const TOLD: [(&str, &str, &str); 11] = [
    ("bot_installed", "bot.installed", "installation"),
    ("bot_notification", "bot.command", "command"),
    ("interactive_message_actions", "bot.action", "action"),
    ("interactive_message_select", "bot.selection", "selection"),
    ("interactive_message_editable", "bot.edit", "edit"),
    ("interactive_message_fields_editable", "bot.edit", "edit"),
    ("chat_message.submit", "bot.submission", "submission"),
    ("team_chat.app_mention", "bot.mention", "mention"),
    ("team_chat.channel_message_posted", "bot.message", "post"),
    ("team_chat.dm_message_posted", "bot.message", "post"),
    ("team_chat.link_shared", "bot.link_shared", "link"),
];

fn specification() -> Vec<Value> {
    let Some(folder) = std::env::var_os("DOMICILE_TEST_ZOOM_OPENAPI") else {
        return Vec::new();
    };
    let text = std::fs::read(PathBuf::from(folder).join(FILE)).unwrap();
    let specification: Value = serde_json::from_slice(&text).unwrap();
    let paths = specification["paths"].as_object().unwrap();
    let example = |path: &Value| {
        let example =
            &path["post"]["requestBody"]["content"]["application/json"]["examples"]["json-example"]["value"];
        example
            .as_str()
            .map_or_else(|| example.clone(), |text| serde_json::from_str(text).unwrap())
    };
    paths.values().map(example).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_kept_and_reaches_the_app_as_the_right_event() {
    let chat = Chat::start(&[]).await;
    let own: Vec<Value> = serde_json::from_str(OWN).unwrap();
    let examples: Vec<Value> = own.into_iter().chain(specification()).collect();
    for (event, told, member) in TOLD {
        let of_event: Vec<&Value> = examples
            .iter()
            .filter(|example| example["event"] == event)
            .collect();
        assert!(!of_event.is_empty(), "no example of {event}");
        for example in of_event {
            let before = count(&chat, told);
            post(&chat, example).await;
            let data = eventually(&format!("{told} of {example}"), async || {
                let events = chat.world.app.events();
                let of_type: Vec<_> = events.iter().filter(|it| it.event_type() == told).collect();
                (of_type.len() == before + 1).then(|| of_type[before].event()["data"].clone())
            })
            .await;
            assert!(data[member].is_object(), "{event}: {data}");
            let payload = &example["payload"];
            let account = payload
                .get("accountId")
                .or_else(|| payload.get("account_id"))
                .unwrap();
            assert_eq!(&data["speaker"]["zoom"]["account_id"], account);
            let user = ["userId", "user_id", "operator_id"]
                .iter()
                .find_map(|name| payload.get(name));
            assert_eq!(
                &data["speaker"]["zoom"]["user_id"],
                user.unwrap_or(&Value::Null),
                "{event}"
            );
        }
    }
    // One that nobody knows yet is passed on whole.
    let unknown =
        json!({"event": "bot_something_new", "event_ts": 1, "payload": {"accountId": "A", "x": {"y": 1}}});
    post(&chat, &unknown).await;
    let told = chat.told("bot.event").await;
    assert_eq!(
        told["data"]["event"],
        json!({"type": "bot_something_new", "payload": unknown["payload"]})
    );
    let kept = chat.world.inbox().await;
    assert!(kept.iter().all(|(status, _)| status == "dispatched"), "{kept:?}");
}

fn count(chat: &Chat, event_type: &str) -> usize {
    let events = chat.world.app.events();
    events
        .iter()
        .filter(|event| event.event_type() == event_type)
        .count()
}

/// Posts an event as Zoom does. The robot of an example is not this region's, and what is said to another is not heard.
async fn post(chat: &Chat, event: &Value) {
    let mut event = event.clone();
    for pointer in ["/payload/robotJid", "/payload/object/robot_jid"] {
        if let Some(robot) = event.pointer_mut(pointer) {
            *robot = ROBOT_JID.into();
        }
    }
    let body = event.to_string();
    let now = domicile::outside::ids().clock().now().timestamp();
    let request = Request::post(chat.world.public_url.join("/zoom/bot").unwrap().as_str())
        .header(TIMESTAMP_HEADER, now.to_string())
        .header(
            SIGNATURE_HEADER,
            sign(&Secret::from(BOT_SECRET), now, body.as_bytes()),
        )
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap();
    let answer = call(&chat.world.client, request).await;
    assert_eq!(answer.status, 200, "{event}: {}", answer.text());
}
