//! Attempts that die, are overtaken or given up, and what is left of them in storage.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domicile_leases::{
    Backoff, Finished, Handler, JobError, JobKind, Lease, LeaseError, NewJob, Policy, Workers, enqueue,
    redrive,
};
use domicile_objects::ObjectKey;
use domicile_store::Conn;
use domicile_telemetry::testing::capture;

use super::events::{completed, mp4, video};
use super::fetching::{SIZE, assert_stored, reported};
use super::media::{redirect, whole};
use super::room::{Pause, Room, run_with};
use crate::attempt::Leftovers;
use crate::{FETCH, SETTLE};

/// Another video of the same size.
fn other_mp4() -> Vec<u8> {
    let mut bytes = mp4(SIZE);
    bytes[SIZE - 1] ^= 0xff;
    bytes
}

/// A room whose only file is waiting to be fetched.
async fn waiting() -> Room {
    let room = reported().await;
    room.merge().await;
    room
}

/// Spends all attempts of the job, as a worker that dies on each of them does.
async fn spend_attempts(room: &Room) {
    room.run_sql("UPDATE jobs SET attempts = 36").await;
}

/// Puts something in the place of the object that storage cannot delete.
fn make_undeletable(room: &Room, key: &ObjectKey) {
    let path = room.path_of(key);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("stone"), "").unwrap();
}

async fn assert_clean(room: &Room) {
    assert_eq!(room.attempt_keys().await, [""; 0]);
    assert_eq!(room.objects(), 0);
}

#[tokio::test]
async fn a_stale_worker_that_wakes_after_the_winners_commit_changes_nothing() {
    let room = waiting().await;
    let winner = other_mp4();
    run_with(&room, &mp4(SIZE), async || {
        let stale = room.attempt_keys().await;
        let served = winner.clone();
        room.media.answers(move |_| whole(&served));
        room.run_after(Duration::from_mins(2)).await;
        assert_stored(&room, &winner).await;
        assert_ne!(room.rows("SELECT object_key FROM recording_files").await, stale);
    })
    .await;
    assert_eq!(room.media.log().len(), 2);
    assert_stored(&room, &winner).await;
    assert_eq!(room.told().await.len(), 1);
    assert_eq!(room.attempt_keys().await, [""; 0]);
    assert_eq!(room.objects(), 1);
}

#[tokio::test]
async fn a_stale_worker_that_wakes_during_the_winners_download_does_not_disturb_it() {
    let room = waiting().await;
    let winner = other_mp4();
    let stale_pause = Pause::default();
    let winner_pause = Pause::default();
    stale_pause.answer(&room, &mp4(SIZE));
    tokio::join!(
        async {
            room.run().await;
            winner_pause.go_on.notify_one();
        },
        async {
            stale_pause.begun.notified().await;
            let stale = room.attempt_keys().await;
            room.clock.advance(Duration::from_mins(2));
            winner_pause.answer(&room, &winner);
            tokio::join!(room.run(), async {
                winner_pause.begun.notified().await;
                assert_ne!(room.attempt_keys().await, stale);
                stale_pause.go_on.notify_one();
            });
        }
    );
    assert_stored(&room, &winner).await;
    assert_eq!(room.told().await.len(), 1);
    assert_eq!(room.objects(), 1);
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_stores_nothing() {
    let capture = capture();
    let room = waiting().await;
    run_with(&room, &mp4(SIZE), async || {
        room.run_sql("UPDATE jobs SET lease_token = gen_random_uuid()")
            .await;
    })
    .await;
    assert_eq!(room.files().await, ["a pending -"]);
    assert_eq!(room.jobs().await, ["recording.fetch leased - 1"]);
    assert!(room.told().await.is_empty());
    assert_clean(&room).await;
    let lost = capture.counter(
        "domicile.recordings.fetches",
        &[("outcome", "failed"), ("error.type", "lease_lost")],
    );
    assert!((lost - 1.0).abs() < f64::EPSILON);

    // The other worker never comes back, so its lease runs out.
    room.media.answers(|_| whole(&mp4(SIZE)));
    room.run_after(Duration::from_mins(2)).await;
    assert_stored(&room, &mp4(SIZE)).await;
    assert_eq!(room.told().await.len(), 1);
}

#[tokio::test]
async fn an_attempt_whose_key_the_row_does_not_name_any_more_stores_nothing() {
    let room = waiting().await;
    run_with(&room, &mp4(SIZE), async || {
        room.run_sql("UPDATE recording_files SET attempt_key = 'recordings/other'")
            .await;
    })
    .await;
    assert_eq!(room.files().await, ["a pending -"]);
    assert_eq!(room.jobs().await, ["recording.fetch queued lease_lost 1"]);
    assert_eq!(room.attempt_keys().await, ["recordings/other"]);
    assert_eq!(room.objects(), 0);
}

#[tokio::test]
async fn what_a_crash_left_between_upload_and_commit_is_deleted_by_the_next_attempt() {
    let room = waiting().await;
    room.leave_dead_attempt().await;
    room.media.answers(|_| whole(&mp4(SIZE)));
    room.run().await;
    assert_stored(&room, &mp4(SIZE)).await;
    assert_eq!(room.attempt_keys().await, [""; 0]);
    assert_eq!(room.objects(), 1);
}

#[tokio::test]
async fn an_object_that_cannot_be_deleted_is_not_forgotten() {
    let room = waiting().await;
    let dead = room.leave_dead_attempt().await;
    make_undeletable(&room, &dead);
    room.media.answers(|_| whole(&mp4(SIZE)));
    room.run().await;
    assert_eq!(room.jobs().await, ["recording.fetch queued storage 1"]);
    assert_eq!(room.attempt_keys().await, [dead.as_str()]);
    assert!(room.media.seen().is_empty());

    std::fs::remove_dir_all(room.path_of(&dead)).unwrap();
    room.run_after(Duration::from_mins(1)).await;
    assert_stored(&room, &mp4(SIZE)).await;
    assert_eq!(room.objects(), 1);
}

#[tokio::test]
async fn an_attempt_that_fails_leaves_no_object_and_no_key() {
    let room = waiting().await;
    room.run().await;
    assert_eq!(room.jobs().await, ["recording.fetch queued not_found 1"]);
    assert_clean(&room).await;

    let room = waiting().await;
    room.media.answers(|_| redirect("https://evil.example/"));
    room.run().await;
    assert_eq!(room.files().await, ["a failed host_refused"]);
    assert_clean(&room).await;
}

#[tokio::test]
async fn a_file_whose_worker_died_on_each_attempt_leaves_no_object() {
    let room = waiting().await;
    room.leave_dead_attempt().await;
    spend_attempts(&room).await;
    room.run().await;
    assert_eq!(room.files().await, ["a failed attempts_spent"]);
    assert_eq!(
        room.jobs().await,
        ["recording.fetch quarantined attempts_spent 37"]
    );
    assert_eq!(room.told().await[0].0, "recording.incomplete");
    assert_clean(&room).await;
}

#[tokio::test]
async fn storage_in_trouble_keeps_no_news_from_the_app_and_is_cleared_later() {
    let room = waiting().await;
    let dead = room.leave_dead_attempt().await;
    make_undeletable(&room, &dead);
    spend_attempts(&room).await;
    room.run().await;
    assert_eq!(room.told().await[0].0, "recording.incomplete");
    assert_eq!(room.attempt_keys().await, [dead.as_str()]);
    assert_eq!(room.jobs().await[1], "recording.settle queued storage 1");

    let path = room.path_of(&dead);
    std::fs::remove_dir_all(&path).unwrap();
    std::fs::write(&path, "again an object").unwrap();
    room.run_after(Duration::from_mins(1)).await;
    assert_eq!(room.jobs().await.len(), 1);
    assert_eq!(room.told().await.len(), 1);
    assert_clean(&room).await;
}

#[tokio::test]
async fn what_was_left_is_deleted_also_when_the_accounts_key_is_destroyed() {
    let room = waiting().await;
    room.leave_dead_attempt().await;
    room.erase().await;
    spend_attempts(&room).await;
    room.run().await;
    assert_eq!(room.files().await, ["a failed attempts_spent"]);
    assert_clean(&room).await;
}

#[tokio::test]
async fn a_redriven_file_waits_again_and_is_not_cleared_away_while_it_is_fetched() {
    let room = waiting().await;
    room.media.answers(|_| redirect("https://evil.example/"));
    room.run().await;
    assert_eq!(room.rows("SELECT status FROM recordings").await, ["incomplete"]);
    let recording = room.recording_id().await.to_string();
    let now = room.ids.clock().now();
    let db = room.db.db();
    db.run_tx("redrive", async |conn: &mut Conn| {
        redrive(conn, FETCH, None, now).await
    })
    .await
    .unwrap();
    run_with(&room, &mp4(SIZE), async || {
        assert_eq!(room.files().await, ["a pending host_refused"]);
        assert_eq!(room.rows("SELECT status FROM recordings").await, ["fetching"]);
        let job = NewJob {
            kind: SETTLE,
            key: &recording,
            lane: None,
            due_at: now,
            traceparent: None,
        };
        db.run_tx("settle", async |conn: &mut Conn| {
            enqueue(conn, &room.ids, job.clone()).await
        })
        .await
        .unwrap();
        assert_eq!(room.run().await, 1);
        assert_eq!(room.attempt_keys().await.len(), 1);
    })
    .await;
    assert_stored(&room, &mp4(SIZE)).await;
    let told: Vec<_> = room.told().await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(told, ["recording.incomplete", "recording.stored"]);
}

#[tokio::test]
async fn nothing_stays_in_storage_when_the_link_ends_during_the_download() {
    let room = waiting().await;
    run_with(&room, &mp4(SIZE), async || room.revoke_link().await).await;
    assert_eq!(room.files().await, ["a failed link_revoked"]);
    assert_eq!(room.jobs().await, [""; 0]);
    assert!(room.told().await.is_empty());
    assert_clean(&room).await;
}

#[tokio::test]
async fn what_a_dead_attempt_left_is_deleted_when_the_link_has_ended() {
    let room = waiting().await;
    room.leave_dead_attempt().await;
    room.revoke_link().await;
    room.run().await;
    assert_eq!(room.files().await, ["a failed link_revoked"]);
    assert_eq!(room.jobs().await, [""; 0]);
    assert_clean(&room).await;
}

#[tokio::test]
async fn an_attempt_that_is_dropped_before_its_commit_takes_its_object_with_it() {
    let room = waiting().await;
    room.media.answers(|_| whole(&mp4(SIZE)));
    let (telling, _never) = room.outbox.gate();
    {
        let run = Box::pin(room.run());
        tokio::select! {
            _ = run => panic!("the commit does not wait"),
            () = async {
                telling.notified().await;
                assert_eq!(room.objects(), 1);
            } => {}
        }
    }
    // Deleted in the background; the row forgets the key after that.
    while !room.attempt_keys().await.is_empty() {}
    assert_clean(&room).await;
    assert_eq!(room.files().await, ["a pending -"]);
    assert_eq!(room.jobs().await, ["recording.fetch leased - 1"]);

    room.outbox.open();
    room.run_after(Duration::from_mins(2)).await;
    assert_stored(&room, &mp4(SIZE)).await;
}

#[tokio::test]
async fn an_attempt_that_does_not_know_of_its_own_commit_keeps_the_object() {
    let room = waiting().await;
    room.media.answers(|_| whole(&mp4(SIZE)));
    room.run().await;
    let row = room.rows("SELECT id, object_key FROM recording_files").await;
    let (id, key) = row[0].split_once(' ').unwrap();
    let leftovers = Leftovers {
        db: room.db.db(),
        storage: room.storage.clone(),
        clock: room.clock.port(),
    };
    leftovers
        .clear_unless_stored(id.parse().unwrap(), &ObjectKey::parse(key).unwrap())
        .await
        .unwrap();
    assert_stored(&room, &mp4(SIZE)).await;
}

#[tokio::test]
async fn files_of_one_recording_do_not_share_attempts() {
    let room = Room::new().await;
    let url = room.media.url("127.0.0.1", "/rec/a");
    room.dispatch(&completed(&[video("a", &url, SIZE), video("b", &url, SIZE)]))
        .await;
    room.media.answers(|_| whole(&mp4(SIZE)));
    room.run().await;
    let keys = room.rows("SELECT DISTINCT object_key FROM recording_files").await;
    assert_eq!(keys.len(), 2);
    assert_eq!(room.objects(), 2);
}

/// Checks its lease twice, loses it, and checks again.
struct Checking {
    room: Arc<Room>,
    found: Mutex<Vec<bool>>,
}

impl Checking {
    async fn check(&self, lease: &Lease) {
        let db = self.room.db.db();
        let checked = db
            .run_tx("check", async |conn: &mut Conn| lease.check(conn).await)
            .await;
        assert!(matches!(checked, Ok(()) | Err(LeaseError::Lost)));
        self.found.lock().unwrap().push(checked.is_ok());
    }
}

#[async_trait]
impl Handler for Checking {
    fn kind(&self) -> JobKind {
        JobKind("test.checking")
    }

    fn policy(&self) -> Policy {
        Policy {
            concurrency: 1,
            lane_concurrency: None,
            lease: Duration::from_mins(1),
            timeout: Duration::from_mins(1),
            backoff: Backoff {
                first: Duration::from_mins(1),
                longest: Duration::from_mins(1),
            },
            max_attempts: 2,
        }
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        self.check(lease).await;
        self.check(lease).await;
        self.room
            .run_sql("UPDATE jobs SET lease_token = gen_random_uuid()")
            .await;
        self.check(lease).await;
        Err(JobError::retry("ended", "it has seen enough"))
    }
}

#[tokio::test]
async fn a_lease_is_checked_without_being_ended() {
    let room = Arc::new(Room::new().await);
    let checking = Arc::new(Checking {
        room: room.clone(),
        found: Mutex::default(),
    });
    let job = NewJob {
        kind: checking.kind(),
        key: "one",
        lane: None,
        due_at: room.ids.clock().now(),
        traceparent: None,
    };
    let db = room.db.db();
    db.run_tx("ask", async |conn: &mut Conn| {
        enqueue(conn, &room.ids, job.clone()).await
    })
    .await
    .unwrap();
    let workers = Workers::builder(db, room.ids.clone())
        .handler(checking.clone())
        .build();
    workers.run_due().await.unwrap();
    assert_eq!(*checking.found.lock().unwrap(), [true, true, false]);
    assert_eq!(room.jobs().await, ["test.checking leased - 1"]);
}
