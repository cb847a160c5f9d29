//! A conversation with the region's bot, from its installation to its end.

mod answers;
mod examples;

use domicile_zoomsim::{Act, FileKind, FileSelection};
use http::Method;
use serde_json::{Value, json};

use crate::harness::chat::{BOT_CLIENT_ID, Chat, all_text, alone};
use crate::harness::eventually;
use crate::harness::world::ALICE;

const WORDS: &str = r#"{"product": "Minute Book", "status": {"head": "How things stand"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_from_installing_to_uninstalling() {
    let chat = Chat::start(&[("DOMICILE_BOT_WORDS", WORDS)]).await;
    let alone = alone();

    // Installed: the bot greets who installed it, and the app is told.
    chat.install().await;
    let installed = chat.told("bot.installed").await;
    assert_eq!(installed["subject"], Value::Null);
    assert_eq!(
        installed["data"]["speaker"]["zoom"]["user_id"],
        chat.admin.id.as_str()
    );
    let welcome = eventually("the welcome", async || chat.cards_of(&chat.admin, &alone).pop()).await;
    assert!(all_text(&welcome).contains("I am Minute Book in European Union"));

    // Commands of the region's own, in words of the product.
    chat.command(alone.clone(), "help").await;
    let help = all_text(&chat.card(&alone, 1).await);
    for command in ["help", "connect", "status", "recordings", "region"] {
        assert!(help.contains(command), "{help}");
    }
    chat.command(alone.clone(), "  Status ").await;
    let status = all_text(&chat.card(&alone, 2).await);
    assert!(
        status.contains("How things stand") && status.contains("is not linked with Minute Book"),
        "{status}"
    );
    chat.command(alone.clone(), "connect").await;
    let connect = all_text(&chat.card(&alone, 3).await);
    assert!(connect.contains(chat.world.app.start_url().as_str()), "{connect}");

    // Linked: it knows.
    chat.world.link(ALICE, &chat.user).await;
    chat.command(alone.clone(), "status").await;
    let status = all_text(&chat.card(&alone, 4).await);
    assert!(
        status.contains("is linked with Minute Book in European Union"),
        "{status}"
    );

    // A command that the app answers in its response, with the subject of who speaks.
    chat.command(alone.clone(), "tasks for today").await;
    let tasks = chat.card(&alone, 5).await;
    assert!(all_text(&tasks).contains("Your tasks"));
    let told = chat.told("bot.command").await;
    assert_eq!(told["subject"], ALICE);
    assert_eq!(told["data"]["command"]["name"], "tasks");
    assert_eq!(told["data"]["command"]["arguments"], "for today");
    assert_eq!(told["data"]["conversation"]["shared"], false);

    // A button: the app replaces the card.
    chat.act(
        &tasks,
        Act::Click {
            value: "done".to_owned(),
        },
    )
    .await;
    let replaced = chat.edited(&alone, &tasks.id, "You chose").await;
    assert!(!all_text(&replaced).contains("Not mine"), "the old card is gone");
    let action = chat.told("bot.action").await;
    assert_eq!(action["data"]["action"], json!({"text": "Done", "value": "done"}));
    assert!(
        action["data"]["message"]["id"].is_string(),
        "the app learns its own id of the message"
    );

    // One that the app answers later by the API, naming the event, and edits then.
    chat.world.app.answer("bot.command", Value::Null);
    chat.command(alone.clone(), "report").await;
    let event = eventually("the second command", async || {
        let told = chat.told("bot.command").await;
        (told["data"]["command"]["name"] == "report").then_some(told)
    })
    .await;
    let body = json!({
        "to": { "event": event["id"] },
        "content": { "head": { "text": "Report" }, "body": [{ "type": "message", "text": "Being made" }] },
    });
    let answer = chat.world.api(Method::POST, "/v1/bot/messages", Some(body)).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let message = answer.json();
    let report = chat.card(&alone, 6).await;
    assert!(all_text(&report).contains("Being made"));
    let path = format!("/v1/bot/messages/{}", message["id"].as_str().unwrap());
    let edit = json!({ "content": { "head": { "text": "Report" }, "body": [{ "type": "message", "text": "Made" }] } });
    assert_eq!(chat.world.api(Method::PUT, &path, Some(edit)).await.status, 202);
    chat.edited(&alone, &report.id, "\"Made\"").await;
    assert_eq!(chat.world.api(Method::DELETE, &path, None).await.status, 202);
    eventually("the report's end", async || {
        (chat.cards_of(&chat.user, &alone).len() == 5).then_some(())
    })
    .await;

    // A link to the app is unfurled.
    chat.say(chat.in_channel(), "see https://app.example.com/minutes/7")
        .await;
    let shared = chat.told("bot.link_shared").await;
    assert_eq!(shared["data"]["link"]["url"], "https://app.example.com/minutes/7");
    let unfurl = json!({
        "trigger_id": shared["data"]["link"]["trigger_id"],
        "user_id": shared["data"]["speaker"]["zoom"]["user_id"],
        "content": { "head": { "text": "Minutes of July" } },
    });
    let answer = chat
        .world
        .api(Method::POST, "/v1/bot/unfurls", Some(unfurl))
        .await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let messages = chat
        .world
        .zoom
        .sim()
        .chat_messages(&chat.in_channel(), Some(&chat.user.id));
    assert!(json!(messages).to_string().contains("Minutes of July"));

    // Uninstalled: the app is told, and what it says then fails for good and is told too.
    chat.world
        .zoom
        .sim()
        .deauthorize(BOT_CLIENT_ID, &chat.admin.id)
        .await
        .unwrap();
    chat.told("bot.uninstalled").await;
    let body = json!({ "to": { "event": event["id"] }, "content": { "head": { "text": "Too late" } } });
    assert_eq!(
        chat.world
            .api(Method::POST, "/v1/bot/messages", Some(body))
            .await
            .status,
        202
    );
    let failed = chat.told("bot.message_failed").await;
    assert_eq!(failed["data"]["message"]["status"], "failed", "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_a_channel_is_answered_there_and_what_is_private_is_not() {
    let chat = Chat::installed(&[]).await;
    let (channel, alone) = (chat.in_channel(), alone());
    chat.world.link(ALICE, &chat.user).await;
    chat.command(channel.clone(), "region").await;
    let region = all_text(&chat.card(&channel, 1).await);
    assert!(region.contains("This is European Union"), "{region}");
    // Whether and what somebody recorded is nobody else's business.
    chat.command(channel.clone(), "recordings").await;
    let recordings = all_text(&chat.card(&alone, 1).await);
    assert!(recordings.contains("There are none yet"), "{recordings}");
    let mention = chat
        .world
        .zoom
        .sim()
        .mention(BOT_CLIENT_ID, &chat.user.id, &chat.channel, "hello")
        .await
        .unwrap();
    let answer = chat.card(&channel, 2).await;
    assert!(all_text(&answer).contains("Here I am"));
    assert_eq!(answer.reply_to, mention.message.map(|message| message.id));
    assert_eq!(
        chat.told("bot.mention").await["data"]["conversation"]["channel_id"],
        chat.channel.as_str()
    );
    assert_eq!(chat.cards_of(&chat.admin, &channel).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn selections_and_edits_reach_the_app_which_answers_them() {
    let chat = Chat::installed(&[]).await;
    let alone = alone();
    chat.say(alone.clone(), "tasks").await;
    let tasks = chat.card(&alone, 1).await;
    chat.act(
        &tasks,
        Act::Select {
            value: "high".to_owned(),
        },
    )
    .await;
    assert!(all_text(&chat.card(&alone, 2).await).contains("The priority is high now."));
    assert_eq!(
        chat.told("bot.selection").await["data"]["selection"],
        json!({"values": ["high"]})
    );
    let edit = Act::EditField {
        key: "Minutes".to_owned(),
        value: "July".to_owned(),
    };
    chat.act(&tasks, edit).await;
    assert!(all_text(&chat.card(&alone, 3).await).contains("Noted: July"));
    let expected = json!({"field": "Minutes", "from": "Quarterly numbers", "to": "July"});
    assert_eq!(chat.told("bot.edit").await["data"]["edit"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_recordings_are_shown_and_their_fetching_is_one_message_that_is_edited() {
    let chat = Chat::installed(&[]).await;
    let alone = alone();
    chat.world.link(ALICE, &chat.user).await;
    // Nobody who has never spoken to the bot is spoken to, so she says something first.
    chat.command(alone.clone(), "help").await;
    chat.card(&alone, 1).await;
    let uuid = chat
        .world
        .recording(&chat.user, &[(FileKind::Mp4, 400_000), (FileKind::Chat, 900)]);
    let told = chat
        .world
        .zoom
        .sim()
        .finish_recording(&uuid, &FileSelection::default())
        .await
        .unwrap();
    assert!(!told.is_empty());
    chat.world.told("recording.stored").await;
    let progress = chat.card(&alone, 2).await;
    let done = chat.edited(&alone, &progress.id, "is complete: 2 files").await;
    assert!(all_text(&done).contains("Quarterly numbers"));
    chat.command(alone.clone(), "recordings").await;
    let list = all_text(&chat.card(&alone, 3).await);
    assert!(
        list.contains("Quarterly numbers") && list.contains("complete") && list.contains("recording="),
        "{list}"
    );
    chat.command(alone.clone(), "status").await;
    let status = all_text(&chat.card(&alone, 4).await);
    assert!(
        status.contains(r#""key":"Complete","value":"1""#) || status.contains(r#""value":"1""#),
        "{status}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_belongs_elsewhere_is_pointed_there_and_nothing_of_it_reaches_the_app() {
    let directory = tempfile::NamedTempFile::new().unwrap();
    let regions = r#"
regions:
  - {id: eu, name: European Union, install_url: "https://zoom.eu.example.com/install", zoom_clusters: [eu]}
  - {id: us, name: United States, install_url: "https://zoom.us.example.com/install", zoom_clusters: [us]}
"#;
    std::fs::write(directory.path(), regions).unwrap();
    let chat = Chat::installed(&[
        ("DOMICILE_REGION_ADMISSION", "accounts"),
        (
            "DOMICILE_REGION_DIRECTORY_FILE",
            directory.path().to_str().unwrap(),
        ),
    ])
    .await;
    let alone = alone();
    chat.command(alone.clone(), "orders of my bank").await;
    let pointer = all_text(&chat.card(&alone, 1).await);
    assert!(
        pointer.contains("https://zoom.us.example.com/install"),
        "{pointer}"
    );
    assert!(
        !pointer.contains("zoom.eu.example.com"),
        "not to where it is refused: {pointer}"
    );
    assert_eq!(chat.world.app.events().len(), 0, "the app is told nothing");
    let people = chat
        .world
        .db
        .client()
        .await
        .query_one("SELECT count(*) FROM bot_people", &[])
        .await
        .unwrap();
    assert_eq!(people.get::<_, i64>(0), 0, "nobody is remembered");
    // Admitted, the same account is served.
    let path = format!("/v1/admitted-accounts/{}", chat.user.account_id);
    let answer = chat.world.api(Method::PUT, &path, None).await;
    assert!(answer.status == 200 || answer.status == 201, "{}", answer.text());
    chat.command(alone.clone(), "status").await;
    assert!(all_text(&chat.card(&alone, 2).await).contains("is not linked"));
}
