use tokio_util::sync::CancellationToken;

use super::*;

#[tokio::test]
async fn a_message_is_sent_once_with_everything_that_zoom_wants() {
    let room = Room::new().await;
    let mut new = message(1, "Hello");
    new.recipient.reply_to = Some("parent".to_owned());
    new.recipient.visible_to_user = Some("BobId".to_owned());
    new.markdown = true;
    let written = room.write(new.clone()).await;
    assert!(written.new);
    assert_eq!(room.status(written.id).await, ("pending", None));
    // The same origin again is the same message.
    assert_eq!(
        room.write(new).await,
        Written {
            id: written.id,
            new: false
        }
    );
    assert_eq!(room.run().await, 1);
    assert_eq!(room.run().await, 0);

    let [call] = room.zoom.calls().try_into().ok().unwrap();
    assert_eq!(
        (call.method.as_str(), call.target.as_str()),
        ("POST", "/v2/im/chat/messages")
    );
    assert_eq!(call.authorization, "Bearer PLANTED-TOKEN-1");
    let expected = json!({
        "robot_jid": ROBOT, "to_jid": "chan@conference.xmpp.zoom.us", "account_id": ACCOUNT,
        "user_jid": "aliceid@xmpp.zoom.us", "reply_to": "parent", "visible_to_user": "BobId",
        "is_markdown_support": true, "content": {"head": {"text": "Hello"}},
    });
    assert_eq!(call.body, expected);
    let view = room.view(written.id).await;
    assert_eq!((view.status, view.sent_revision), ("sent", 1));
    assert_eq!(view.zoom_message_id.as_deref(), Some("m1"));
    assert_eq!(room.count("jobs").await, 0);
    assert!(room.told().await.is_empty());
}

#[tokio::test]
async fn nothing_that_is_said_lies_in_the_table_in_clear() {
    let room = Room::new().await;
    let mut new = message(1, "PLANTED-TEXT");
    new.callback = room.messages.callback(
        room.zoom.url.join("/v2/im/chat/callback/abc").unwrap().as_str(),
        Secret::from("PLANTED-CALLBACK-TOKEN"),
        room.messages.now(),
    );
    assert!(new.callback.is_some());
    room.write(new).await;
    let sql = "SELECT bot_messages::text FROM bot_messages";
    let row: String = room.db.client().await.query_one(sql, &[]).await.unwrap().get(0);
    // Binary columns are shown in hexadecimal digits.
    let hex = |text: &str| hex::encode(text);
    for planted in [
        "PLANTED-TEXT",
        "PLANTED-CALLBACK-TOKEN",
        "/v2/im/chat/callback/abc",
    ] {
        assert!(
            !row.contains(planted) && !row.contains(&hex(planted)),
            "{planted}"
        );
    }
}

#[tokio::test]
async fn each_final_refusal_ends_the_message_and_the_app_is_told() {
    for (answer, class) in [
        (Answer::error(400, 7001), "invalid_content"),
        (Answer::error(403, 7003), "unknown_robot"),
        (Answer::error(403, 7004), "not_authorized"),
        (Answer::error(404, 7002), "unknown_robot"),
        (Answer::error(400, 9999), "refused"),
    ] {
        let room = Room::new().await;
        let link = room.link(ALICE, ALICE_ID).await;
        room.zoom.next(answer);
        let id = room.write(about(link, 1, "Hello")).await.id;
        assert_eq!(room.run().await, 1);
        room.clock.advance(Duration::from_hours(1));
        assert_eq!(room.run().await, 0, "{class}");
        assert_eq!(room.status(id).await, ("failed", Some(class.to_owned())));
        let told = room.told().await;
        let expected = json!({"message": {"id": id, "status": "failed", "reason": class}});
        assert_eq!(told, [("bot.message_failed", expected)]);
        assert_eq!(room.zoom.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_token_is_dropped_and_the_call_made_once_more() {
    let room = Room::new().await;
    room.zoom.next(Answer::error(401, 7010));
    let id = room.wanted(1, "Hello").await;
    assert_eq!(room.run().await, 1);
    assert_eq!(room.status(id).await.0, "sent");
    let calls = room.zoom.calls();
    let used: Vec<_> = calls.iter().map(|call| call.authorization.as_str()).collect();
    assert_eq!(used, ["Bearer PLANTED-TOKEN-1", "Bearer PLANTED-TOKEN-2"]);

    // Twice in vain: surely not sent, so it is tried again later, and no more than twice a run.
    room.zoom.next(Answer::error(401, 7010));
    room.zoom.next(Answer::error(401, 7010));
    let id = room.wanted(2, "Hello").await;
    assert_eq!(room.run().await, 1);
    assert_eq!(room.zoom.calls().len(), 4);
    assert_eq!(
        room.status(id).await,
        ("pending", Some("token_refused".to_owned()))
    );
    room.clock.advance(Duration::from_secs(1));
    assert_eq!(room.run().await, 1);
    assert_eq!(room.status(id).await, ("sent", None));
}

#[tokio::test]
async fn one_token_serves_all_accounts_and_is_renewed_ahead() {
    let room = Room::new().await;
    for number in 1..=3 {
        let mut new = message(number, "Hello");
        new.account = ZoomAccountId::new(format!("account-{number}"));
        room.write(new).await;
    }
    assert_eq!(room.run().await, 3);
    assert_eq!(room.zoom.tokens(), 1);
    // Five minutes before its end it is renewed; if that fails while the old one lives, the old one is used.
    room.clock.advance(Duration::from_mins(56));
    room.zoom.token_answer(Answer::status(503, ""));
    let id = room.wanted(4, "Hello").await;
    assert_eq!(room.run().await, 1);
    assert_eq!(room.status(id).await.0, "sent");
    assert_eq!(room.zoom.tokens(), 1);
    room.zoom.recover();
    room.wanted(5, "Hello").await;
    assert_eq!(room.run().await, 1);
    assert_eq!(room.zoom.tokens(), 2);
}

#[tokio::test]
async fn without_a_token_nothing_begins() {
    let room = Room::new().await;
    room.zoom.token_answer(Answer::status(503, ""));
    let id = room.wanted(1, "Hello").await;
    assert_eq!(room.run().await, 1);
    assert_eq!(room.status(id).await.0, "pending");
    assert!(room.zoom.calls().is_empty());
    room.zoom.recover();
    room.clock.advance(Duration::from_secs(1));
    assert_eq!(room.run().await, 1);
    assert_eq!(room.status(id).await.0, "sent");
}

#[tokio::test]
async fn a_limit_of_one_account_delays_no_other() {
    let room = Room::new().await;
    room.zoom
        .always(ACCOUNT, Answer::status(429, "retry-after: 60\r\n"));
    let mut slow = Vec::new();
    for number in 1..=10 {
        slow.push(room.wanted(number, "Hello").await);
    }
    let mut other = message(11, "Hello");
    other.account = ZoomAccountId::new("account-2");
    let other = room.write(other).await.id;
    room.run().await;
    assert_eq!(room.status(other).await.0, "sent");
    for id in &slow {
        assert_eq!(
            room.status(*id).await,
            ("pending", Some("rate_limited".to_owned()))
        );
    }
    let before = room.zoom.calls().len();
    room.clock.advance(Duration::from_secs(59));
    assert_eq!(room.run().await, 0);
    assert_eq!(room.zoom.calls().len(), before);
    room.zoom.recover();
    room.clock.advance(Duration::from_secs(1));
    room.run().await;
    for id in &slow {
        assert_eq!(room.status(*id).await, ("sent", None));
    }
    assert_eq!(room.zoom.calls().len(), before + slow.len());
}

#[tokio::test]
async fn a_stalled_account_takes_only_its_lane() {
    let room = Room::new().await;
    room.zoom.always(ACCOUNT, Answer::Stalls);
    for number in 1..=40 {
        room.wanted(number, "Hello").await;
    }
    let mut other = message(41, "Hello");
    other.account = ZoomAccountId::new("account-2");
    let other = room.write(other).await.id;
    let stop = CancellationToken::new();
    let (workers, stopping) = (room.workers(), stop.clone());
    let running = tokio::spawn(async move { workers.run(stopping).await });
    tokio::time::timeout(Duration::from_secs(30), async {
        while room.status(other).await.0 != "sent" {
            // The wait is bounded, because what arrives is seen before its answer is committed.
            let _ = tokio::time::timeout(Duration::from_millis(20), room.zoom.arrived()).await;
        }
    })
    .await
    .expect("the other account's message is sent while the first one's hang");
    stop.cancel();
    running.abort();
}

#[tokio::test]
async fn what_may_have_arrived_is_unsure_and_never_sent_again() {
    for answer in [
        Answer::HangsUp,
        Answer::status(500, ""),
        Answer::status(502, "retry-after: 1\r\n"),
        Answer::status(503, ""),
    ] {
        let room = Room::new().await;
        let link = room.link(ALICE, ALICE_ID).await;
        room.zoom.next(answer);
        let id = room.write(about(link, 1, "Hello")).await.id;
        assert_eq!(room.run().await, 1);
        let (status, reason) = room.status(id).await;
        assert_eq!(status, "unsure", "{reason:?}");
        room.clock.advance(Duration::from_hours(5));
        assert_eq!(room.run().await, 0);
        assert_eq!(room.zoom.calls().len(), 1);
        let told = room.told().await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].1["message"]["status"], "unsure");
        assert_eq!(room.edit(id, "Better").await, crate::Edited::NotEditable);
    }
}

#[tokio::test]
async fn what_zoom_said_it_did_not_do_is_done_later() {
    let room = Room::new().await;
    room.zoom.next(Answer::status(503, "retry-after: 30\r\n"));
    let id = room.wanted(1, "Hello").await;
    assert_eq!(room.run().await, 1);
    assert_eq!(
        room.status(id).await,
        ("pending", Some("zoom_unavailable".to_owned()))
    );
    room.clock.advance(Duration::from_secs(29));
    assert_eq!(room.run().await, 0);
    room.clock.advance(Duration::from_secs(1));
    assert_eq!(room.run().await, 1);
    assert_eq!(room.status(id).await, ("sent", None));
}

#[tokio::test]
async fn a_worker_that_dies_while_it_sends_leaves_a_message_that_nobody_sends_again() {
    let room = Room::new().await;
    let link = room.link(ALICE, ALICE_ID).await;
    room.zoom.next(Answer::Stalls);
    let id = room.write(about(link, 1, "Hello")).await.id;
    let workers = room.workers();
    let running = tokio::spawn(async move { workers.run_due().await });
    room.zoom.arrived().await;
    assert_eq!(room.status(id).await.0, "sending");
    running.abort();
    let _ = running.await;
    drop_leases(&room).await;
    assert_eq!(room.run().await, 1);
    assert_eq!(room.status(id).await, ("unsure", Some("interrupted".to_owned())));
    assert_eq!(room.zoom.calls().len(), 1);
    assert_eq!(room.told().await.len(), 1);
}

/// Lets every lease run out.
async fn drop_leases(room: &Room) {
    room.clock.advance(Duration::from_mins(5));
    let sql =
        "UPDATE jobs SET status = 'queued', lease_owner = NULL, lease_token = NULL, lease_expires_at = NULL
               WHERE status = 'leased'";
    room.db.client().await.execute(sql, &[]).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_sent_for_hours_fails() {
    let room = Room::new().await;
    let link = room.link(ALICE, ALICE_ID).await;
    room.zoom.always(ACCOUNT, Answer::status(429, ""));
    let id = room.write(about(link, 1, "Hello")).await.id;
    let mut runs = 0;
    while room.status(id).await.0 == "pending" {
        runs += room.run().await;
        room.clock.advance(Duration::from_mins(10));
    }
    assert_eq!(runs, 20);
    assert_eq!(room.status(id).await, ("failed", Some("rate_limited".to_owned())));
    assert_eq!(room.count("jobs").await, 0);
    assert_eq!(room.told().await.len(), 1);
}

#[tokio::test]
async fn nothing_is_written_for_a_link_that_has_ended() {
    let room = Room::new().await;
    let link = room.link(ALICE, ALICE_ID).await;
    room.end_link(link).await;
    assert!(!room.write(about(link, 1, "Hello")).await.new);
    assert_eq!(room.count("bot_messages").await, 0);
    assert_eq!(room.count("jobs").await, 0);
}
