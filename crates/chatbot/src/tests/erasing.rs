use super::*;
use crate::{Person, remember};

async fn remembered(room: &Room, user: &str, jid: &str) {
    let (account, user) = (ZoomAccountId::new(ACCOUNT), ZoomUserId::new(user));
    let person = Person {
        account: &account,
        user: &user,
        user_jid: jid,
        robot_jid: ROBOT,
    };
    let seen = room.messages.now();
    remember(&mut room.db.db().conn().await.unwrap(), person, seen)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_link_that_ends_takes_its_messages_its_users_and_their_jobs_along() {
    let room = Room::new().await;
    let link = room.link(ALICE, ALICE_ID).await;
    remembered(&room, ALICE_ID, "seen@xmpp.zoom.us").await;
    remembered(&room, "BobId", "bobid@xmpp.zoom.us").await;
    for number in 1..=3 {
        room.write(about(link, number, "Hello")).await;
    }
    // On behalf of Alice without her link, by the address that was derived and by the one that was seen.
    room.wanted(4, "Hello").await;
    let mut seen = message(5, "Hello");
    seen.recipient.user_jid = Some("seen@xmpp.zoom.us".to_owned());
    room.write(seen).await;
    let mut of_bob = message(6, "Hello");
    of_bob.recipient.user_jid = Some("bobid@xmpp.zoom.us".to_owned());
    let of_bob = room.write(of_bob).await.id;
    assert_eq!(
        (room.count("bot_messages").await, room.count("jobs").await),
        (6, 6)
    );

    room.end_link(link).await;
    for _ in 0..2 {
        room.eraser().erase(link).await.unwrap();
    }
    assert_eq!(
        (room.count("bot_messages").await, room.count("jobs").await),
        (1, 1)
    );
    assert_eq!(room.count("bot_people").await, 1);
    room.run().await;
    assert_eq!(room.zoom.calls().len(), 1);
    assert_eq!(room.status(of_bob).await.0, "sent");
    assert!(!room.write(about(link, 7, "Late")).await.new);
}

#[tokio::test]
async fn erasing_takes_the_job_away_from_the_worker_that_runs_it() {
    let room = Room::new().await;
    let link = room.link(ALICE, ALICE_ID).await;
    room.zoom.next(Answer::Stalls);
    room.write(about(link, 1, "Hello")).await;
    let workers = room.workers();
    let running = tokio::spawn(async move { workers.run_due().await });
    room.zoom.arrived().await;
    room.end_link(link).await;
    room.eraser().erase(link).await.unwrap();
    running.abort();
    let _ = running.await;
    room.clock.advance(Duration::from_hours(1));
    assert_eq!(room.run().await, 0);
    assert_eq!(
        (room.count("bot_messages").await, room.count("jobs").await),
        (0, 0)
    );
}

#[tokio::test]
async fn what_is_old_is_forgotten() {
    let room = Room::new().await;
    room.wanted(1, "Hello").await;
    room.run().await;
    remembered(&room, ALICE_ID, "aliceid@xmpp.zoom.us").await;
    room.clock.advance(Duration::from_hours(29 * 24));
    let young = room.wanted(2, "Hello").await;
    assert_eq!(room.eraser().delete_old().await.unwrap(), 0);
    room.clock.advance(Duration::from_hours(25));
    assert_eq!(room.eraser().delete_old().await.unwrap(), 2);
    assert_eq!(room.count("bot_people").await, 0);
    room.view(young).await;
}

#[tokio::test]
async fn an_older_sight_of_a_person_changes_nothing() {
    let room = Room::new().await;
    remembered(&room, ALICE_ID, "new@xmpp.zoom.us").await;
    room.clock.set(room.messages.now() - TimeDelta::minutes(1));
    remembered(&room, ALICE_ID, "old@xmpp.zoom.us").await;
    let sql = "SELECT user_jid FROM bot_people";
    let jid: String = room.db.client().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(jid, "new@xmpp.zoom.us");
}
