use app::Answer;
use chrono::{SecondsFormat, TimeDelta};
use tokio_util::sync::CancellationToken;

use super::*;

#[tokio::test]
async fn an_event_is_posted_as_the_contract_says_and_verifies() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    let id = room.write(mailbox(1), "user:1", "é \"one\"").await;
    assert_eq!(room.jobs().await, [(mailbox(1).to_string(), "queued".to_owned())]);
    assert_eq!(room.workers().run_due().await.unwrap(), 1);

    let [post] = app.posts().try_into().ok().unwrap();
    post.verify(SECRET);
    assert_eq!(post.path, "/hooks/zoom");
    assert_eq!(post.header("content-type"), "application/json");
    assert_eq!(post.header("webhook-id"), id.to_string());
    assert_eq!(
        post.header("webhook-timestamp"),
        room.clock.now().timestamp().to_string()
    );
    let occurred_at = room.clock.now().to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let expected = format!(
        r#"{{"id":"{id}","type":"recording.stored","version":1,"region":"eu","occurred_at":"{occurred_at}","subject":"user:1","data":{{"recording":{{"note":"é \"one\""}}}}}}"#
    );
    assert_eq!(String::from_utf8(post.body).unwrap(), expected);

    let [(status, attempts, delivered_at)] = room.events().await.try_into().unwrap();
    assert_eq!((status.as_str(), attempts), ("delivered", 1));
    assert!(delivered_at.is_some());
    assert_eq!(room.attempts(id).await, [(1, Some(204), None)]);
    assert!(room.jobs().await.is_empty());
    assert_eq!(room.workers().run_due().await.unwrap(), 0);
}

#[tokio::test]
async fn each_attempt_has_the_same_bytes_and_id_and_its_own_time_and_signature() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    app.answer("user:1", Answer::status(503));
    let id = room.write(mailbox(1), "user:1", "one").await;
    let workers = room.workers();
    assert_eq!(workers.run_due().await.unwrap(), 1);
    // Nothing is sent before its time.
    assert_eq!(workers.run_due().await.unwrap(), 0);
    room.clock.advance(Duration::from_secs(5));
    assert_eq!(workers.run_due().await.unwrap(), 1);
    app.recover();
    room.clock.advance(Duration::from_secs(10));
    assert_eq!(workers.run_due().await.unwrap(), 1);

    let posts = app.posts();
    assert_eq!(posts.len(), 3);
    for post in &posts {
        post.verify(SECRET);
        assert_eq!(post.body, posts[0].body);
        assert_eq!(post.header("webhook-id"), id.to_string());
    }
    for pair in posts.windows(2) {
        for name in ["webhook-timestamp", "webhook-signature"] {
            assert_ne!(pair[0].header(name), pair[1].header(name));
        }
    }
    let recorded = [(1, Some(503), None), (2, Some(503), None), (3, Some(204), None)];
    assert_eq!(room.attempts(id).await, recorded);
    assert!(room.jobs().await.is_empty());
}

#[tokio::test]
async fn a_mailbox_keeps_its_order_while_another_is_down() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    app.answer("user:1", Answer::status(500));
    for (number, subject, note) in [
        (1, "user:1", "1a"),
        (2, "user:2", "2a"),
        (1, "user:1", "1b"),
        (2, "user:2", "2b"),
        (1, "user:1", "1c"),
    ] {
        room.write(mailbox(number), subject, note).await;
    }
    let workers = room.workers();
    workers.run_due().await.unwrap();
    let mut notes = app.notes();
    notes.sort();
    assert_eq!(notes, ["1a", "2a", "2b"]);
    // Down again: still only the first of the mailbox is tried, and one that is written now waits behind it.
    room.clock.advance(Duration::from_secs(5));
    room.write(mailbox(1), "user:1", "1d").await;
    workers.run_due().await.unwrap();
    assert_eq!(app.notes().last().unwrap(), "1a");
    assert_eq!(app.notes().len(), 4);

    app.recover();
    room.clock.advance(Duration::from_secs(10));
    workers.run_due().await.unwrap();
    assert_eq!(app.notes()[4..], ["1a", "1b", "1c", "1d"]);
    let events = room.events().await;
    assert!(events.iter().all(|(status, ..)| status == "delivered"));
    assert!(room.jobs().await.is_empty());
}

#[tokio::test]
async fn each_event_has_attempts_of_its_own() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    app.answer("user:1", Answer::status(500));
    room.write(mailbox(1), "user:1", "a").await;
    room.write(mailbox(1), "user:1", "b").await;
    let workers = room.workers();
    for _ in 0..6 {
        workers.run_due().await.unwrap();
        room.clock.advance(Duration::from_hours(1));
    }
    app.recover();
    room.write(mailbox(1), "user:1", "c").await;
    workers.run_due().await.unwrap();
    app.answer("user:1", Answer::status(500));
    room.write(mailbox(1), "user:1", "d").await;
    let before = app.posts().len();
    workers.run_due().await.unwrap();
    // After its first failure an event waits 5 seconds and not as long as the one before it did.
    room.clock.advance(Duration::from_secs(5));
    workers.run_due().await.unwrap();
    assert_eq!(app.notes()[before..], ["d", "d"]);
}

#[tokio::test]
async fn the_apps_retry_after_is_obeyed() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    let until = (room.clock.now() + TimeDelta::hours(3)).to_rfc2822();
    for (header, wait) in [
        ("7200".to_owned(), Duration::from_hours(2)),
        (until, Duration::from_hours(1)),
    ] {
        app.answer(
            "user:1",
            Answer {
                status: 429,
                header: Some(("retry-after", header)),
            },
        );
        if app.posts().is_empty() {
            room.write(mailbox(1), "user:1", "one").await;
        }
        let workers = room.workers();
        assert_eq!(workers.run_due().await.unwrap(), 1);
        room.clock
            .advance(wait.checked_sub(Duration::from_secs(1)).unwrap());
        assert_eq!(workers.run_due().await.unwrap(), 0);
        room.clock.advance(Duration::from_secs(1));
    }
    app.recover();
    assert_eq!(room.workers().run_due().await.unwrap(), 1);
}

#[tokio::test]
async fn only_2xx_is_success_and_redirects_are_not_followed() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    let id = room.write(mailbox(1), "user:1", "one").await;
    let workers = room.workers();
    let location = app.url().join("/elsewhere").unwrap().to_string();
    for status in [301, 307, 400, 401, 404, 410, 500] {
        app.answer(
            "user:1",
            Answer {
                status,
                header: Some(("location", location.clone())),
            },
        );
        assert_eq!(workers.run_due().await.unwrap(), 1);
        room.clock.advance(Duration::from_hours(1));
    }
    app.answer("user:1", Answer::status(202));
    assert_eq!(workers.run_due().await.unwrap(), 1);
    let statuses: Vec<_> = room
        .attempts(id)
        .await
        .into_iter()
        .map(|(_, status, _)| status.unwrap())
        .collect();
    assert_eq!(statuses, [301, 307, 400, 401, 404, 410, 500, 202]);
    assert!(app.posts().iter().all(|post| post.path == "/hooks/zoom"));
}

#[tokio::test]
async fn an_app_that_cannot_be_reached_is_tried_again() {
    let app = App::start();
    let url = app.url();
    app.stop().await;
    let room = Room::new(Some(url)).await;
    let id = room.write(mailbox(1), "user:1", "one").await;
    assert_eq!(room.workers().run_due().await.unwrap(), 1);
    assert_eq!(room.attempts(id).await, [(1, None, Some("connect".to_owned()))]);
    assert_eq!(room.events().await, [("pending".to_owned(), 1, None)]);
    assert_eq!(room.jobs().await, [(mailbox(1).to_string(), "queued".to_owned())]);
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_while_posting_marks_nothing() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    let id = room.write(mailbox(1), "user:1", "one").await;
    app.hold_next();
    let slow = room.workers();
    let posting = tokio::spawn(async move { slow.run_due().await });
    soon(app.arrived()).await;

    room.clock.advance(Duration::from_mins(2));
    assert_eq!(room.workers().run_due().await.unwrap(), 1);
    let before = (room.events().await, room.attempts(id).await);
    assert_eq!(before.0[0].0, "delivered");
    room.clock.advance(Duration::from_secs(1));
    app.go_on();
    assert_eq!(soon(posting).await.unwrap().unwrap(), 1);
    assert_eq!((room.events().await, room.attempts(id).await), before);

    let posts = app.posts();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0].body, posts[1].body);
    assert_eq!(posts[0].header("webhook-id"), posts[1].header("webhook-id"));
    assert!(room.jobs().await.is_empty());
}

#[tokio::test]
async fn a_worker_that_dies_while_posting_leaves_the_event_to_another() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    room.write(mailbox(1), "user:1", "one").await;
    app.hold_next();
    let dying = room.workers();
    let posting = tokio::spawn(async move { dying.run_due().await });
    soon(app.arrived()).await;
    posting.abort();
    assert!(soon(posting).await.unwrap_err().is_cancelled());
    app.go_on();
    assert_eq!(room.workers().run_due().await.unwrap(), 0);
    room.clock.advance(Duration::from_mins(1));
    assert_eq!(room.workers().run_due().await.unwrap(), 1);
    assert_eq!(app.notes(), ["one", "one"]);
    assert_eq!(room.events().await[0].0, "delivered");
}

#[tokio::test]
async fn an_event_written_while_the_mailbox_is_at_work_is_delivered_too() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    room.write(mailbox(1), "user:1", "one").await;
    app.hold_next();
    let workers = room.workers();
    let posting = tokio::spawn(async move { workers.run_due().await });
    soon(app.arrived()).await;
    room.write(mailbox(1), "user:1", "two").await;
    app.go_on();
    soon(posting).await.unwrap().unwrap();
    assert_eq!(app.notes(), ["one", "two"]);
    assert!(room.jobs().await.is_empty());
}

#[tokio::test]
async fn what_was_counted_and_logged_shows_no_data_and_no_path() {
    let capture = domicile_telemetry::testing::capture();
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    app.answer("user:1", Answer::status(500));
    room.write(mailbox(1), "user:1", "PLANTED").await;
    let workers = room.workers();
    workers.run_due().await.unwrap();
    app.recover();
    room.clock.advance(Duration::from_secs(5));
    workers.run_due().await.unwrap();
    let count = |outcome| capture.counter("domicile.delivery.attempts", &[("outcome", outcome)]);
    assert!((count("delivered") - 1.0).abs() < f64::EPSILON);
    assert!((count("status_5xx") - 1.0).abs() < f64::EPSILON);
    assert_eq!(
        capture.histogram_count("domicile.delivery.attempt.duration", &[]),
        2
    );
    let everything = capture.everything();
    for secret in ["PLANTED", "/hooks", "whsec_", "user:1"] {
        assert!(!everything.contains(secret), "{secret}");
    }
    // The trace goes on in the app.
    assert!(
        app.posts()
            .iter()
            .all(|post| post.headers.contains_key("traceparent"))
    );
}

#[tokio::test]
async fn an_app_that_is_slow_for_one_account_is_not_slow_for_the_others() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    app.stall("user:1");
    for number in 1..=40 {
        room.write(mailbox(number), "user:1", "slow").await;
    }
    let workers = room.workers();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { workers.run(stop).await }
    });
    let slow = || app.notes().iter().filter(|note| *note == "slow").count();
    soon(async {
        while slow() < 8 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut event = room.event(mailbox(41), "user:2", "quick").await;
    event.account = Some(ZoomAccountId::new("another-account"));
    room.write_event(event).await;
    soon(async {
        while !app.notes().iter().any(|note| note == "quick") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(slow(), 8, "the account's share of the posts");
    stop.cancel();
    running.abort();
}
