//! What operators see and do, and what time does.

use domicile_kernel::Timestamp;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{InboxDesk, InboxEntry, Replayed, Retention, RowStatus, Selection};

fn desk(room: &Room) -> InboxDesk {
    InboxDesk::new(room.db.db(), room.ids.clone(), room.vault.clone())
}

fn ids(entries: &[InboxEntry]) -> Vec<InboxId> {
    entries.iter().map(|entry| entry.id).collect()
}

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn events_of_another_marketplace_app_are_quarantined_and_those_of_ours_are_not() {
    let room = Room::new().await;
    room.links.add("acc", None, "org:acme");
    let recorder = Recorder::new(&room);
    let dispatcher = Dispatcher::builder(room.db.db(), room.ids.clone(), room.links.clone())
        .client_ids(vec!["ours".to_owned()])
        .handler(recorder.clone())
        .build();
    let event = |client: &str| {
        json!({"event": "recording.completed", "payload": {"account_id": "acc", "client_id": client}})
            .to_string()
    };
    let foreign = room.keep(event("development")).await;
    let ours = room.keep(event("ours")).await;
    let silent = room.keep(recording("acc", "h", "names no app")).await;
    dispatcher.run_due().await.unwrap();
    assert_eq!(
        room.state(foreign).await,
        State::quarantined(QuarantineReason::WrongApp, 0)
    );
    assert_eq!(recorder.taken_ids(), HashSet::from([ours, silent]));
}

#[tokio::test]
async fn rows_are_listed_by_every_criterion_the_newest_first() {
    let room = Room::new().await;
    room.links.add("acc", None, "org:acme");
    let began: Timestamp = room.clock.now();
    let first = room.keep(recording("acc", "h", "1")).await;
    room.dispatcher(&Recorder::new(&room)).run_due().await.unwrap();
    room.clock.advance(HOUR);
    let noon = room.clock.now();
    let second = room.keep(recording("other", "h", "2")).await;
    let third = room.keep("{").await;
    let desk = desk(&room);
    let list = async |selection: Selection| ids(&desk.list(&selection, None, 10).await.unwrap());
    let all = Selection::default;
    assert_eq!(list(all()).await, [third, second, first]);
    assert_eq!(ids(&desk.list(&all(), None, 2).await.unwrap()), [third, second]);
    assert_eq!(ids(&desk.list(&all(), Some(second), 2).await.unwrap()), [first]);
    let cases = [
        (
            Selection {
                status: Some(RowStatus::Pending),
                ..all()
            },
            vec![second],
        ),
        (
            Selection {
                status: Some(RowStatus::Dispatched),
                ..all()
            },
            vec![first],
        ),
        (
            Selection {
                reason: Some(QuarantineReason::Unparseable),
                ..all()
            },
            vec![third],
        ),
        (
            Selection {
                event_type: Some("recording.completed".to_owned()),
                ..all()
            },
            vec![second, first],
        ),
        (
            Selection {
                zoom_account_id: Some(ZoomAccountId::new("other")),
                ..all()
            },
            vec![second],
        ),
        (
            Selection {
                endpoint: Some(Endpoint::Bot),
                ..all()
            },
            vec![],
        ),
        (
            Selection {
                received_from: Some(noon),
                ..all()
            },
            vec![third, second],
        ),
        (
            Selection {
                received_from: Some(began),
                received_before: Some(noon),
                ..all()
            },
            vec![first],
        ),
        (
            Selection {
                ids: vec![first, third],
                ..all()
            },
            vec![third, first],
        ),
    ];
    for (selection, expected) in cases {
        assert_eq!(list(selection.clone()).await, expected, "{selection:?}");
    }
    let shown = desk.show(second).await.unwrap().unwrap();
    assert_eq!(
        (shown.status.as_str(), shown.zoom_account_id.as_deref()),
        ("pending", Some("other"))
    );
    assert_eq!(desk.show(room.ids.make()).await.unwrap(), None);
}

#[tokio::test]
async fn a_replay_hands_over_what_was_quarantined_or_dispatched_and_leaves_what_waits() {
    let room = Room::new().await;
    let recorder = Recorder::new(&room);
    let dispatcher = room.dispatcher(&recorder);
    let early = room.keep(recording("acc", "h", "came before its link")).await;
    dispatcher.run_due().await.unwrap();
    let link = room.links.add("acc", None, "org:acme");
    let late = room.keep(recording("acc", "h", "came after")).await;
    dispatcher.run_due().await.unwrap();
    let unreadable = room.keep("{").await;
    assert_eq!(recorder.taken(), [(late, link)]);

    let desk = desk(&room);
    let of_account = Selection {
        zoom_account_id: Some(ZoomAccountId::new("acc")),
        ..Selection::default()
    };
    assert_eq!(desk.count_finished(&of_account).await.unwrap(), 2);
    let replayed = desk.replay(&of_account).await.unwrap();
    assert_eq!(
        replayed,
        Replayed {
            rows: 2,
            unreadable: 0
        }
    );
    // What waits already is not touched.
    assert_eq!(desk.replay(&of_account).await.unwrap(), Replayed::default());
    dispatcher.run_due().await.unwrap();
    assert_eq!(recorder.taken().len(), 3);
    assert_eq!(room.state(early).await, State::dispatched(0));

    let everything = desk.replay(&Selection::default()).await.unwrap();
    assert_eq!(
        everything,
        Replayed {
            rows: 2,
            unreadable: 1
        }
    );
    assert_eq!(
        room.state(unreadable).await,
        State::quarantined(QuarantineReason::Unparseable, 0)
    );
}

#[tokio::test]
async fn what_an_older_version_could_not_read_is_read_when_it_is_replayed() {
    let room = Room::new().await;
    let link = room.links.add("acc", None, "org:acme");
    let recorder = Recorder::new(&room);
    let id = room.keep(recording("acc", "h", "1")).await;
    let forget = "UPDATE inbox SET event_type = NULL, zoom_account_id = NULL, zoom_user_id = NULL, \
                  status = 'quarantined', reason = 'unparseable', finished_at = received_at";
    room.db.client().await.batch_execute(forget).await.unwrap();
    let desk = desk(&room);
    let selection = Selection {
        ids: vec![id],
        ..Selection::default()
    };
    let replayed = desk.replay(&selection);
    assert_eq!(replayed.await.unwrap().rows, 1);
    room.dispatcher(&recorder).run_due().await.unwrap();
    assert_eq!(recorder.taken(), [(id, link)]);
}

#[tokio::test]
async fn an_operator_takes_a_row_away_from_its_handlers_and_gives_it_back() {
    let room = Room::new().await;
    room.links.add("acc", None, "org:acme");
    let recorder = Recorder::new(&room);
    let id = room.keep(recording("acc", "h", "1")).await;
    let desk = desk(&room);
    assert_eq!(desk.quarantine(&[id, room.ids.make()]).await.unwrap(), 1);
    assert_eq!(desk.quarantine(&[id]).await.unwrap(), 0);
    room.dispatcher(&recorder).run_due().await.unwrap();
    assert_eq!(
        room.state(id).await,
        State::quarantined(QuarantineReason::Operator, 0)
    );
    desk.replay(&Selection {
        ids: vec![id],
        ..Selection::default()
    })
    .await
    .unwrap();
    room.dispatcher(&recorder).run_due().await.unwrap();
    assert_eq!(recorder.taken_ids(), HashSet::from([id]));

    let written = "SELECT action FROM audit_entries WHERE actor = 'operator' ORDER BY sequence";
    let rows = room.db.client().await.query(written, &[]).await.unwrap();
    let actions: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    // What changed nothing is not written down.
    assert_eq!(actions, ["inbox.quarantine", "inbox.replay"]);
}

#[tokio::test]
async fn rows_go_when_their_time_is_over_and_what_waits_stays() {
    let room = Room::new().await;
    room.links.add("acc", None, "org:acme");
    let recorder = Recorder::new(&room);
    let dispatcher = room.dispatcher(&recorder);
    let retention = Retention::default();
    let done = room.keep(recording("acc", "h", "1")).await;
    dispatcher.run_due().await.unwrap();
    let quarantined = room.keep("{").await;
    let waits = room.keep(recording("acc", "h", "2")).await;
    let desk = desk(&room);
    let left = async || {
        let entries = desk.list(&Selection::default(), None, 10).await.unwrap();
        ids(&entries).into_iter().collect::<HashSet<_>>()
    };

    room.clock.advance(retention.dispatched.saturating_sub(HOUR));
    assert_eq!(dispatcher.delete_old().await.unwrap(), 0);
    // A duplicate is still known as one.
    let again = room.arrival(recording("acc", "h", "1").as_bytes(), None).await;
    assert_eq!(
        room.intake.keep(Endpoint::Events, &again).await.unwrap(),
        Kept::Duplicate
    );
    room.clock.advance(HOUR * 2);
    assert_eq!(dispatcher.delete_old().await.unwrap(), 1);
    assert_eq!(left().await, HashSet::from([quarantined, waits]));
    assert_eq!(desk.show(done).await.unwrap(), None);
    let more = retention.quarantined.saturating_sub(retention.dispatched);
    room.clock.advance(more.saturating_sub(HOUR * 2));
    assert_eq!(dispatcher.delete_old().await.unwrap(), 0);
    room.clock.advance(HOUR * 2);
    assert_eq!(dispatcher.delete_old().await.unwrap(), 1);
    assert_eq!(left().await, HashSet::from([waits]));
}

#[tokio::test]
async fn what_arrived_long_ago_and_was_replayed_just_now_keeps_its_body_for_its_jobs() {
    let room = Room::new().await;
    let recorder = Recorder::new(&room);
    let dispatcher = room.dispatcher(&recorder);
    let body = recording("acc", "h", "1");
    let id = room.keep(&body).await;
    dispatcher.run_due().await.unwrap();
    room.links.add("acc", None, "org:acme");
    room.clock.advance(HOUR * 24 * 20);
    desk(&room).replay(&Selection::default()).await.unwrap();
    dispatcher.run_due().await.unwrap();
    assert_eq!(dispatcher.delete_old().await.unwrap(), 0);
    assert_eq!(
        room.intake.body(id).await.unwrap().expose().as_slice(),
        body.as_bytes()
    );
    room.clock.advance(Retention::default().dispatched + HOUR);
    assert_eq!(dispatcher.delete_old().await.unwrap(), 1);
}

#[tokio::test]
async fn silence_is_known_by_endpoint_and_account() {
    let room = Room::new().await;
    room.intake.challenged(Endpoint::Events);
    room.intake.challenged(Endpoint::Bot);
    let challenged_at = room.clock.now();
    room.keep(recording("acc", "h", "1")).await;
    room.keep(recording("other", "h", "2")).await;
    let desk = desk(&room);
    // They are written down a little later, or at the latest when the process ends.
    room.intake.finish(PATIENCE).await;
    let status = desk.status().await.unwrap();
    let silence: Vec<_> = status
        .silence
        .iter()
        .map(|it| {
            (
                it.endpoint.as_str(),
                it.kind.as_str(),
                it.zoom_account_id.as_deref(),
            )
        })
        .collect();
    let expected = [
        ("bot", "challenge", None),
        ("events", "challenge", None),
        ("events", "event", Some("other")),
        ("events", "event", Some("acc")),
    ];
    assert_eq!(silence, expected);
    assert_eq!(status.silence[1].last_at, challenged_at);
    assert_eq!((status.pending, status.quarantined), (2, vec![]));
}

#[tokio::test]
async fn silence_and_quarantine_are_measured() {
    let capture = domicile_telemetry::testing::capture();
    let room = Room::new().await;
    room.intake.challenged(Endpoint::Events);
    room.keep("{").await;
    room.intake.finish(PATIENCE).await;
    room.clock.advance(HOUR * 72);
    let dispatcher = room.dispatcher(&Recorder::new(&room));
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { dispatcher.run(stop).await }
    });
    let challenge = [("endpoint", "events"), ("kind", "challenge")];
    soon(async {
        while capture.gauge("domicile.intake.silence", &challenge).is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    stop.cancel();
    soon(running).await.unwrap();
    let silence = capture.gauge("domicile.intake.silence", &challenge).unwrap();
    assert!(silence >= 72.0 * 3600.0, "{silence}");
    let unparseable = [("reason", "unparseable")];
    assert_eq!(
        capture.gauge("domicile.intake.quarantine.rows", &unparseable),
        Some(1.0)
    );
}
