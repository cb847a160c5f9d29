//! What the app answers in its response, also when it is slow or wrong, and Zoom's repetitions.

use serde_json::json;

use crate::harness::chat::{Chat, all_text, alone};
use crate::harness::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn what_zoom_sends_again_is_not_answered_again() {
    let chat = Chat::installed(&[]).await;
    let alone = alone();
    chat.command(alone.clone(), "help").await;
    chat.say(alone.clone(), "tasks").await;
    chat.card(&alone, 2).await;
    let sim = chat.world.zoom.sim();
    let deliveries = sim.webhook_log();
    for delivery in &deliveries {
        sim.redeliver(delivery.id).await.unwrap();
    }
    // What came after it has been dealt with, so the repetitions have too.
    chat.command(alone.clone(), "region").await;
    eventually("the last card", async || {
        let cards = chat.cards_of(&chat.user, &alone);
        cards
            .iter()
            .any(|card| all_text(card).contains("This is"))
            .then_some(())
    })
    .await;
    assert_eq!(chat.cards_of(&chat.user, &alone).len(), 3);
    let commands = chat.world.app.events();
    let commands = commands
        .iter()
        .filter(|event| event.event_type() == "bot.command");
    assert_eq!(commands.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_tried_again_is_answered_once() {
    let chat = Chat::installed(&[]).await;
    let alone = alone();
    chat.told("bot.installed").await;
    chat.world.app.fail_next(1);
    chat.say(alone.clone(), "tasks").await;
    eventually("the failure", async || {
        (chat.world.app.failed() == 1).then_some(())
    })
    .await;
    let hurry = "UPDATE jobs SET due_at = now() WHERE kind = 'delivery.mailbox'";
    eventually("the card", async || {
        chat.world.db.client().await.batch_execute(hurry).await.unwrap();
        chat.cards_of(&chat.user, &alone).pop()
    })
    .await;
    chat.card(&alone, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_app_delays_neither_zoom_nor_what_the_region_answers_itself() {
    let chat = Chat::installed(&[]).await;
    let alone = alone();
    chat.told("bot.installed").await;
    chat.world.app.stall(true);
    for number in 0..5 {
        // It returns when Zoom has its answer.
        chat.say(alone.clone(), &format!("tasks {number}")).await;
    }
    chat.command(alone.clone(), "help").await;
    assert!(all_text(&chat.card(&alone, 1).await).contains("What I can do"));
    chat.world.app.stall(false);
    chat.card(&alone, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_said_is_told_to_the_app_with_its_faults() {
    let chat = Chat::installed(&[]).await;
    let alone = alone();
    let refused = |count: usize| {
        let chat = &chat;
        async move {
            eventually("a refusal", async || {
                let events = chat.world.app.events();
                let refused: Vec<_> = events
                    .iter()
                    .filter(|event| event.event_type() == "bot.reply_refused")
                    .collect();
                (refused.len() == count).then(|| refused[count - 1].event()["data"]["errors"].clone())
            })
            .await
        }
    };
    let cases = [
        (
            json!({"reply": {"content": {"head": {"text": [1]}}}}),
            "reply.content.head.text",
        ),
        (json!({"reply": {"text": " "}}), "reply.text"),
        (json!({"reply": {}}), "reply"),
        (json!({"reply": {"text": "a", "colour": "red"}}), "reply"),
        (
            json!({"reply": {"connect_url": "https://evil.example.com/connect/x"}}),
            "reply.connect_url",
        ),
    ];
    for (index, (answer, field)) in cases.into_iter().enumerate() {
        chat.world.app.answer("bot.command", answer.clone());
        chat.say(alone.clone(), &format!("orders {index}")).await;
        let errors = refused(index + 1).await;
        assert_eq!(errors[0]["field"], field, "{answer}: {errors}");
    }
    // What asks for nothing is no fault.
    for answer in [json!({}), json!([1]), json!({"reply": null}), json!("ok")] {
        chat.world.app.answer("bot.command", answer);
        chat.say(alone.clone(), "orders").await;
    }
    // Whoever is still to be asked would get the next answer.
    eventually("the last command", async || {
        let events = chat.world.app.events();
        let commands = events.iter().filter(|event| event.event_type() == "bot.command");
        (commands.count() == 9).then_some(())
    })
    .await;
    // A connect session of the region's is shown to the speaker alone.
    let url = chat.world.connect_url("user:7").await;
    chat.world
        .app
        .answer("bot.command", json!({"reply": {"connect_url": url}}));
    chat.command(chat.in_channel(), "orders please").await;
    assert!(all_text(&chat.card(&alone, 1).await).contains(url.as_str()));
    assert!(chat.cards_of(&chat.user, &chat.in_channel()).is_empty());
}
