use tokio_util::sync::CancellationToken;

use super::*;
use crate::DispatchSettings;

#[tokio::test]
async fn an_event_goes_to_the_exact_user_else_to_the_exact_account_and_to_nobody_else() {
    let room = Room::new().await;
    let alice = room.links.add("acc", Some("alice"), "user:1");
    let acme = room.links.add("acc", None, "org:acme");
    room.links.add("other", Some("carol"), "user:2");
    let recorder = Recorder::new(&room);
    let to_alice = room.keep(&recording("acc", "alice", "a")).await;
    let to_acme = room.keep(&recording("acc", "bob", "b")).await;
    let to_nobody = room.keep(&recording("other", "alice", "c")).await;
    let to_none = room.keep(&recording("ACC", "alice", "d")).await;

    assert_eq!(room.dispatcher(&recorder).run_due().await.unwrap(), 4);
    assert_eq!(recorder.taken(), [(to_alice, alice), (to_acme, acme)]);
    assert_eq!(room.state(to_alice).await, State::dispatched(0));
    for id in [to_nobody, to_none] {
        assert_eq!(
            room.state(id).await,
            State::quarantined(QuarantineReason::UnknownAccount, 0)
        );
    }
    assert_eq!(room.dispatcher(&recorder).run_due().await.unwrap(), 0);
}

#[tokio::test]
async fn the_handler_learns_what_it_needs_to_go_on() {
    let room = Room::new().await;
    let link_id = room.links.add("acc", Some("alice"), "user:1");
    let recorder = Recorder::new(&room);
    let inbox_id = room.keep(&recording("acc", "alice", "a")).await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    room.db
        .client()
        .await
        .execute("UPDATE inbox SET traceparent = $1", &[&traceparent])
        .await
        .unwrap();
    room.dispatcher(&recorder).run_due().await.unwrap();
    let expected = RoutedEvent {
        inbox_id,
        event_type: "recording.completed".to_owned(),
        link_id,
        subject: "user:1".parse().unwrap(),
        zoom_account_id: ZoomAccountId::new("acc"),
        traceparent: Some(traceparent.to_owned()),
    };
    assert_eq!(*recorder.taken.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn what_nobody_can_take_is_kept_with_its_reason() {
    let room = Room::new().await;
    room.links.add("acc", None, "org:acme");
    let recorder = Recorder::new(&room);
    let cases = [
        (
            r#"{"event":"some.news","payload":{"account_id":"acc"}}"#,
            QuarantineReason::UnknownEvent,
        ),
        (r#"{"event":"some.news"}"#, QuarantineReason::UnknownEvent),
        (r#"{"event":"recording.completed"}"#, QuarantineReason::NoAccount),
        (
            r#"{"event":"recording.completed","payload":{"account_id":""}}"#,
            QuarantineReason::NoAccount,
        ),
        (
            r#"{"event":"recording.completed","payload":{"account_id":"acc2"}}"#,
            QuarantineReason::UnknownAccount,
        ),
    ];
    for (body, reason) in cases {
        let id = room.keep(body).await;
        room.dispatcher(&recorder).run_due().await.unwrap();
        assert_eq!(room.state(id).await, State::quarantined(reason, 0), "{body}");
        assert_eq!(
            room.intake.body(id).await.unwrap().expose().as_slice(),
            body.as_bytes()
        );
    }
    assert!(recorder.taken().is_empty());
}

#[tokio::test]
async fn a_poisonous_row_stays_without_its_effect_and_does_not_hold_up_its_neighbours() {
    for mood in [Mood::Fails, Mood::Aborts, Mood::Panics] {
        let room = Room::new().await;
        room.links.add("acc", None, "org:acme");
        let recorder = Recorder::new(&room);
        let before = room.keep(&recording("acc", "h", "1")).await;
        let poison = room.keep(&recording("acc", "h", "2")).await;
        let after = room.keep(&recording("acc", "h", "3")).await;
        recorder.mood(poison, mood);

        let dispatcher = room.dispatcher(&recorder);
        assert_eq!(dispatcher.run_due().await.unwrap(), 3);
        assert_eq!(recorder.taken_ids(), HashSet::from([before, after]));
        assert_eq!(room.traces().await, [before.to_string(), after.to_string()]);
        assert_eq!(room.state(poison).await, State::pending(1));

        // It waits, and then it is tried again, and what was wrong may have been mended.
        assert_eq!(dispatcher.run_due().await.unwrap(), 0);
        recorder.mood(poison, Mood::Good);
        room.clock.advance(Duration::from_secs(5));
        assert_eq!(dispatcher.run_due().await.unwrap(), 1);
        assert_eq!(room.state(poison).await, State::dispatched(1));
        assert_eq!(recorder.taken_ids().len(), 3);
    }
}

#[tokio::test]
async fn a_row_that_fails_too_often_is_quarantined() {
    let room = Room::new().await;
    room.links.add("acc", None, "org:acme");
    let recorder = Recorder::new(&room);
    let poison = room.keep(&recording("acc", "h", "1")).await;
    recorder.mood(poison, Mood::Fails);
    let dispatcher = room.dispatcher(&recorder);
    let settings = DispatchSettings::default();
    for attempts in 1..settings.max_attempts {
        assert_eq!(dispatcher.run_due().await.unwrap(), 1);
        assert_eq!(room.state(poison).await, State::pending(attempts));
        room.clock.advance(settings.backoff.longest);
    }
    dispatcher.run_due().await.unwrap();
    let spent = State::quarantined(QuarantineReason::HandlerFailed, settings.max_attempts);
    assert_eq!(room.state(poison).await, spent);
    room.clock.advance(settings.backoff.longest);
    assert_eq!(dispatcher.run_due().await.unwrap(), 0);
    assert!(room.traces().await.is_empty());
}

#[tokio::test]
async fn several_handlers_of_one_type_all_take_it_or_none() {
    let room = Room::new().await;
    room.links.add("acc", None, "org:acme");
    let (first, second) = (
        Recorder::named(&room, "first "),
        Recorder::named(&room, "second "),
    );
    let dispatcher = Dispatcher::builder(room.db.db(), room.ids.clone(), room.links.clone())
        .handler(first.clone())
        .handler(second.clone())
        .build();
    let id = room.keep(&recording("acc", "h", "1")).await;
    second.mood(id, Mood::Fails);
    dispatcher.run_due().await.unwrap();
    assert!(room.traces().await.is_empty());
    second.mood(id, Mood::Good);
    room.clock.advance(Duration::from_secs(5));
    dispatcher.run_due().await.unwrap();
    assert_eq!(
        room.traces().await,
        [format!("first {id}"), format!("second {id}")]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dispatchers_beside_each_other_take_each_event_once() {
    let room = Room::new().await;
    room.links.add("acc", None, "org:acme");
    let recorder = Recorder::new(&room);
    for note in 0..30 {
        room.keep(&recording("acc", "h", &note.to_string())).await;
    }
    let dispatchers: Vec<_> = (0..3).map(|_| room.dispatcher(&recorder)).collect();
    let counts = futures_util::future::join_all(dispatchers.iter().map(Dispatcher::run_due)).await;
    let total: usize = counts.into_iter().map(Result::unwrap).sum();
    assert_eq!(
        (total, recorder.taken().len(), recorder.taken_ids().len()),
        (30, 30, 30)
    );
}

#[tokio::test]
async fn a_dispatcher_that_dies_over_an_event_leaves_it_to_the_next() {
    let room = Room::new().await;
    let link = room.links.add("acc", None, "org:acme");
    let recorder = Recorder::new(&room);
    let id = room.keep(&recording("acc", "h", "1")).await;
    recorder.mood(id, Mood::Waits);
    let dispatcher = room.dispatcher(&recorder);
    let dying = tokio::spawn(async move { dispatcher.run_due().await });
    soon(recorder.began.notified()).await;
    dying.abort();
    assert!(soon(dying).await.unwrap_err().is_cancelled());

    let recorder = Recorder::new(&room);
    // The dead one's connection is being closed; until then its lock hides the row.
    let dispatcher = room.dispatcher(&recorder);
    soon(async {
        while dispatcher.run_due().await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(recorder.taken(), [(id, link)]);
    assert_eq!(room.state(id).await, State::dispatched(0));
    assert_eq!(room.traces().await, [id.to_string()]);
}

#[tokio::test]
async fn a_lost_connection_is_not_the_rows_fault() {
    let room = Room::new().await;
    room.links.add("acc", None, "org:acme");
    let recorder = Recorder::new(&room);
    let id = room.keep(&recording("acc", "h", "1")).await;
    recorder.mood(id, Mood::Waits);
    let dispatcher = room.dispatcher(&recorder);
    let interrupted = tokio::spawn(async move { dispatcher.run_due().await });
    soon(recorder.began.notified()).await;
    room.db
        .client()
        .await
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND state = 'idle in transaction'",
            &[],
        )
        .await
        .unwrap();
    recorder.go_on.notify_one();
    assert!(soon(interrupted).await.unwrap().is_err());
    assert_eq!(room.state(id).await, State::pending(0));
    recorder.mood(id, Mood::Good);
    assert_eq!(room.dispatcher(&recorder).run_due().await.unwrap(), 1);
    assert_eq!(room.state(id).await, State::dispatched(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_dispatcher_takes_what_comes_and_finishes_its_row_when_it_is_stopped() {
    let room = Room::new().await;
    room.links.add("acc", None, "org:acme");
    let recorder = Recorder::new(&room);
    let dispatcher = room.dispatcher(&recorder);
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { dispatcher.run(stop).await }
    });
    let kept = room.keep(&recording("acc", "h", "1")).await;
    soon(async {
        while recorder.taken().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The next one is being handled when the stop comes.
    *recorder.usual.lock().unwrap() = Mood::Waits;
    let last = room.keep(&recording("acc", "h", "2")).await;
    soon(recorder.began.notified()).await;
    stop.cancel();
    recorder.go_on.notify_one();
    soon(running).await.unwrap();
    for id in [kept, last] {
        assert_eq!(room.state(id).await, State::dispatched(0));
    }
}
