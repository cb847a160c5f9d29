use super::*;
use crate::Edited;

#[tokio::test]
async fn the_newest_content_wins_before_and_after_the_first_send() {
    let room = Room::new().await;
    let id = room.wanted(1, "one").await;
    assert_eq!(room.edit(id, "two").await, Edited::Wanted);
    room.run().await;
    let calls = room.zoom.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].text(), "two");

    room.edit(id, "three").await;
    room.edit(id, "four").await;
    room.run().await;
    assert_eq!(room.run().await, 0);
    let calls = room.zoom.calls();
    assert_eq!(
        room.zoom.lines(),
        ["POST /v2/im/chat/messages", "PUT /v2/im/chat/messages/m1"]
    );
    let expected = json!({
        "robot_jid": ROBOT, "account_id": ACCOUNT, "user_jid": "aliceid@xmpp.zoom.us",
        "is_markdown_support": false, "content": {"head": {"text": "four"}},
    });
    assert_eq!(calls[1].body, expected);
    let view = room.view(id).await;
    assert_eq!((view.status, view.revision, view.sent_revision), ("sent", 4, 4));
}

#[tokio::test]
async fn an_edit_while_it_is_sent_follows_it() {
    let room = Room::new().await;
    room.zoom.next(Answer::error(429, 0));
    let id = room.wanted(1, "one").await;
    room.run().await;
    room.edit(id, "two").await;
    room.clock.advance(Duration::from_secs(2));
    room.run().await;
    assert_eq!(room.zoom.calls().last().unwrap().text(), "two");
    assert_eq!(room.status(id).await, ("sent", None));
}

#[tokio::test]
async fn what_is_taken_back_before_it_is_sent_is_never_sent() {
    let room = Room::new().await;
    let id = room.wanted(1, "one").await;
    assert!(room.delete(id).await);
    assert!(room.delete(id).await);
    room.run().await;
    assert!(room.zoom.calls().is_empty());
    assert_eq!(room.status(id).await, ("deleted", None));
    assert_eq!(room.edit(id, "two").await, Edited::Deleted);
    assert!(!room.delete(room.ids.make()).await);
}

#[tokio::test]
async fn what_is_taken_back_is_deleted_at_zoom() {
    let room = Room::new().await;
    let id = room.wanted(1, "one").await;
    room.run().await;
    room.edit(id, "two").await;
    room.delete(id).await;
    room.run().await;
    assert_eq!(
        room.zoom.lines(),
        ["POST /v2/im/chat/messages", "DELETE /v2/im/chat/messages/m1"]
    );
    let call = room.zoom.calls().pop().unwrap();
    let query = call.target.split_once('?').unwrap().1;
    assert_eq!(
        query,
        "account_id=account-1&robot_jid=v1robot%40xmpp.zoom.us&user_jid=aliceid%40xmpp.zoom.us"
    );
    assert_eq!(room.status(id).await, ("deleted", None));
    let kept = "SELECT count(*) FROM bot_messages WHERE content_sealed IS NOT NULL";
    let kept: i64 = room.db.client().await.query_one(kept, &[]).await.unwrap().get(0);
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn an_edit_and_a_deletion_are_repeated_until_zoom_answers() {
    let room = Room::new().await;
    let id = room.wanted(1, "one").await;
    room.run().await;
    for answer in [
        Answer::HangsUp,
        Answer::status(500, ""),
        Answer::status(503, ""),
        Answer::status(429, ""),
    ] {
        room.zoom.next(answer);
    }
    room.edit(id, "two").await;
    for _ in 0..5 {
        assert_eq!(room.run().await, 1);
        room.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(room.zoom.calls().len(), 6);
    assert_eq!(room.view(id).await.sent_revision, 2);
    room.zoom.next(Answer::HangsUp);
    room.delete(id).await;
    room.run().await;
    assert_eq!(room.status(id).await.0, "sent");
    room.clock.advance(Duration::from_mins(1));
    room.run().await;
    assert_eq!(room.status(id).await, ("deleted", None));
}

#[tokio::test]
async fn a_message_that_zoom_lost_cannot_be_edited_and_counts_as_deleted() {
    let room = Room::new().await;
    let link = room.link(ALICE, ALICE_ID).await;
    let id = room.write(about(link, 1, "one")).await.id;
    room.run().await;
    room.zoom.next(Answer::error(404, 8001));
    room.edit(id, "two").await;
    room.run().await;
    assert_eq!(
        room.status(id).await,
        ("failed", Some("message_not_found".to_owned()))
    );
    assert_eq!(room.told().await.len(), 1);
    room.zoom.next(Answer::error(404, 8001));
    room.delete(id).await;
    room.run().await;
    assert_eq!(room.status(id).await, ("deleted", None));
    assert_eq!(room.told().await.len(), 1);
}

#[tokio::test]
async fn a_message_that_failed_is_tried_once_more_with_another_content() {
    let room = Room::new().await;
    room.zoom.next(Answer::error(400, 7001));
    let id = room.wanted(1, "one").await;
    room.run().await;
    assert_eq!(room.status(id).await.0, "failed");
    assert_eq!(room.edit(id, "two").await, Edited::Wanted);
    room.run().await;
    assert_eq!(room.status(id).await, ("sent", None));
    assert_eq!(room.zoom.lines(), ["POST /v2/im/chat/messages"; 2]);
}

#[tokio::test]
async fn another_accounts_message_is_unknown() {
    let room = Room::new().await;
    let id = room.wanted(1, "one").await;
    let edit = room
        .messages
        .prepare_edit(id, &ZoomAccountId::new("account-2"), &card("two"))
        .await
        .unwrap();
    let edited = room
        .db
        .db()
        .run_tx("edit", async |conn: &mut Conn| {
            room.messages.write_edit(conn, &edit).await
        })
        .await
        .unwrap();
    assert_eq!(edited, Edited::Unknown);
    assert_eq!(room.view(id).await.revision, 1);
}
