use super::*;

/// A message with a callback of this age.
async fn with_callback(room: &Room, age: TimeDelta) -> BotMessageId {
    let mut new = message(1, "Hello");
    let url = room.zoom.url.join("/v2/im/chat/callback/abc-_1").unwrap();
    let token = Secret::from("PLANTED-CALLBACK");
    new.callback = room
        .messages
        .callback(url.as_str(), token, room.messages.now() - age);
    assert!(new.callback.is_some());
    room.write(new).await.id
}

#[tokio::test]
async fn the_first_answer_goes_by_the_callback_and_changes_by_the_bots_own_token() {
    let room = Room::new().await;
    let id = with_callback(&room, TimeDelta::zero()).await;
    room.run().await;
    let [call] = room.zoom.calls().try_into().ok().unwrap();
    assert_eq!(call.target, "/v2/im/chat/callback/abc-_1");
    assert_eq!(call.authorization, "Bearer PLANTED-CALLBACK");
    assert_eq!(
        call.body,
        json!({"is_markdown_support": false, "content": {"head": {"text": "Hello"}}})
    );
    room.edit(id, "two").await;
    room.run().await;
    let last = room.zoom.calls().pop().unwrap();
    assert_eq!(
        (last.method.as_str(), last.authorization.as_str()),
        ("PUT", "Bearer PLANTED-TOKEN-1")
    );
}

#[tokio::test]
async fn a_callback_that_was_refused_or_has_expired_is_made_good_by_the_bots_token() {
    for answer in [
        Answer::error(401, 7010),
        Answer::error(404, 1),
        Answer::status(429, ""),
    ] {
        let room = Room::new().await;
        room.zoom.next(answer);
        let id = with_callback(&room, TimeDelta::zero()).await;
        room.run().await;
        assert_eq!(
            room.zoom.lines(),
            ["POST /v2/im/chat/callback/abc-_1", "POST /v2/im/chat/messages"]
        );
        assert_eq!(room.status(id).await, ("sent", None));
    }
    let room = Room::new().await;
    with_callback(&room, TimeDelta::minutes(30)).await;
    room.run().await;
    assert_eq!(room.zoom.lines(), ["POST /v2/im/chat/messages"]);
}

#[tokio::test]
async fn a_callback_whose_answer_is_lost_is_not_made_good() {
    let room = Room::new().await;
    room.zoom.next(Answer::HangsUp);
    let id = with_callback(&room, TimeDelta::zero()).await;
    room.run().await;
    room.clock.advance(Duration::from_hours(1));
    room.run().await;
    assert_eq!(room.zoom.lines(), ["POST /v2/im/chat/callback/abc-_1"]);
    assert_eq!(room.status(id).await.0, "unsure");
}

#[tokio::test]
async fn a_callback_works_once() {
    let room = Room::new().await;
    // Both ways are limited; the second run has the bot's token alone.
    room.zoom.next(Answer::status(429, ""));
    room.zoom.next(Answer::status(429, ""));
    let id = with_callback(&room, TimeDelta::zero()).await;
    room.run().await;
    assert_eq!(room.status(id).await.0, "pending");
    room.clock.advance(Duration::from_secs(2));
    room.run().await;
    assert_eq!(
        room.zoom.lines(),
        [
            "POST /v2/im/chat/callback/abc-_1",
            "POST /v2/im/chat/messages",
            "POST /v2/im/chat/messages"
        ]
    );
}

#[tokio::test]
async fn a_message_without_zooms_id_cannot_be_changed() {
    let room = Room::new().await;
    room.zoom.next(Answer::Says(200, "", "{}".to_owned()));
    let id = with_callback(&room, TimeDelta::zero()).await;
    room.run().await;
    assert_eq!(room.status(id).await, ("sent", None));
    assert_eq!(room.edit(id, "two").await, crate::Edited::NotEditable);
    room.delete(id).await;
    room.run().await;
    assert_eq!(
        room.status(id).await,
        ("failed", Some("no_message_id".to_owned()))
    );
    assert_eq!(room.zoom.calls().len(), 1);
}

#[tokio::test]
async fn only_zooms_callbacks_are_called() {
    let room = Room::new().await;
    for url in [
        "https://evil.example/v2/im/chat/callback/abc",
        "http://127.0.0.1/v2/im/chat/callback/",
        "http://127.0.0.1/v2/im/chat/callback/a/b",
        "http://127.0.0.1/v2/im/chat/callback/../messages",
        "http://127.0.0.1/v2/im/chat/callback/a%2fb",
        "http://127.0.0.1/v2/im/chat/callback/a?b",
        "http://127.0.0.1/v2/im/chat/messages",
        "http://u:p@127.0.0.1/v2/im/chat/callback/abc",
        "callback",
    ] {
        let callback = room
            .messages
            .callback(url, Secret::from("t"), room.messages.now());
        assert!(callback.is_none(), "{url}");
    }
}
