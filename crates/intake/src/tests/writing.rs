//! The writer: batches, their bounds, and what becomes of them when the database fails.

use domicile_kernel::Fate;
use domicile_store::inbox::{InboxOutcome, InboxRow};
use futures_util::future::join_all;

use super::*;
use crate::writer::InboxWriter;
use crate::{InboxDesk, IntakeError, WriterSettings};

/// A row that the writer takes as it is.
fn row(room: &Room, number: u8) -> InboxRow {
    InboxRow {
        id: room.ids.make(),
        endpoint: "events",
        digest: [number; 32],
        quarantined: None,
        event_type: Some("some.news".to_owned()),
        zoom_account_id: None,
        zoom_user_id: None,
        zoom_client_id: None,
        zoom_request_id: None,
        traceparent: None,
        event_at: None,
        received_at: room.clock.now(),
        body_sealed: vec![number; 100],
        body_encoding: "identity",
        body_size_bytes: 100,
        sealed_by: None,
    }
}

fn writer(room: &Room, settings: WriterSettings) -> InboxWriter {
    InboxWriter::start(room.db.settings(), settings)
}

/// A writer for whom a commit may hang for as long as the test takes.
fn patient_writer(room: &Room) -> InboxWriter {
    let settings = WriterSettings {
        commit_timeout: Duration::from_mins(1),
        ..WriterSettings::default()
    };
    writer(room, settings)
}

/// Holds up every write of the inbox until [`LET_GO`].
const HOLD_UP: &str = "BEGIN; LOCK TABLE inbox IN SHARE MODE";
const LET_GO: &str = "COMMIT";
/// Holds up every write of the inbox between [`CLOSE_GATE`] and [`OPEN_GATE`], and nothing else: under a lock of the table no
/// connection could prepare its statements.
const GATE: &str = "
    CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END';
    CREATE TRIGGER gate BEFORE INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION gate()";
const CLOSE_GATE: &str = "SELECT pg_advisory_lock(1)";
const OPEN_GATE: &str = "SELECT pg_advisory_unlock(1)";
/// How many commits are held up.
const HELD_UP: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Waits until one commit is held up.
async fn held_up(room: &Room) {
    held_up_commits(room, 1).await;
}

async fn held_up_commits(room: &Room, commits: i64) {
    let client = room.db.client().await;
    soon(async {
        while client.query_one(HELD_UP, &[]).await.unwrap().get::<_, i64>(0) < commits {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn number(room: &Room, sql: &str) -> i64 {
    let client = room.db.client().await;
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn until_kept(writer: &InboxWriter, room: &Room, number: u8) -> InboxOutcome {
    soon(async {
        loop {
            match writer.write(row(room, number)).await {
                Ok(outcome) => return outcome,
                Err(error) => assert_eq!(error.fate(), Fate::RETRY, "{error}"),
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn what_comes_while_a_commit_is_under_way_shares_the_next_one() {
    let room = Room::new().await;
    let writer = writer(&room, WriterSettings::default());
    let client = room.db.client().await;
    client.batch_execute(HOLD_UP).await.unwrap();
    let first = tokio::spawn({
        let (writer, row) = (writer.clone(), row(&room, 0));
        async move { writer.write(row).await }
    });
    held_up(&room).await;
    let others = join_all((1..=40).map(|number| writer.write(row(&room, number))));
    let (others, ()) = tokio::join!(others, async {
        tokio::task::yield_now().await;
        client.batch_execute(LET_GO).await.unwrap();
    });
    assert_eq!(first.await.unwrap().unwrap(), InboxOutcome::New);
    assert!(
        others
            .into_iter()
            .all(|outcome| outcome.unwrap() == InboxOutcome::New)
    );
    assert_eq!(number(&room, "SELECT count(*) FROM inbox").await, 41);
    assert_eq!(
        number(&room, "SELECT count(DISTINCT xmin::text) FROM inbox").await,
        2
    );
}

/// A commit that waits for its disk must not make the next ones wait for it as well.
#[tokio::test]
async fn while_a_commit_hangs_ever_larger_batches_go_over_other_connections() {
    let room = Room::new().await;
    let (writer, client) = (patient_writer(&room), room.db.client().await);
    client.batch_execute(GATE).await.unwrap();
    client.batch_execute(CLOSE_GATE).await.unwrap();
    let mut numbers = 0..;
    let mut waiting = Vec::new();
    let mut come = |rows: usize| {
        for number in numbers.by_ref().take(rows) {
            let (writer, row) = (writer.clone(), row(&room, number));
            waiting.push(tokio::spawn(async move { writer.write(row).await }));
        }
    };
    for (commits, rows) in [(1, 1), (2, 4), (3, 16), (4, 64)] {
        come(rows);
        held_up_commits(&room, commits).await;
    }
    // No connection is left, and then too few wait.
    come(100);
    client.batch_execute(OPEN_GATE).await.unwrap();
    for written in join_all(waiting).await {
        assert_eq!(written.unwrap().unwrap(), InboxOutcome::New);
    }
    assert_eq!(number(&room, "SELECT count(*) FROM inbox").await, 185);
    let batches =
        "SELECT count(*) FROM inbox GROUP BY xmin::text ORDER BY min(encode(digest, 'hex')) LIMIT 4";
    let batches = client.query(batches, &[]).await.unwrap();
    let batches: Vec<i64> = batches.iter().map(|row| row.get(0)).collect();
    assert_eq!(batches, [1, 4, 16, 64]);
}

#[tokio::test]
async fn where_the_server_gives_no_more_connections_those_that_are_there_serve_all() {
    let room = Room::new().await;
    let (writer, client) = (patient_writer(&room), room.db.client().await);
    client.batch_execute(GATE).await.unwrap();
    assert_eq!(writer.write(row(&room, 0)).await.unwrap(), InboxOutcome::New);
    room.db.let_nobody_in().await;
    client.batch_execute(CLOSE_GATE).await.unwrap();
    let mut waiting = Vec::new();
    let mut come = |number| {
        let (writer, row) = (writer.clone(), row(&room, number));
        waiting.push(tokio::spawn(async move { writer.write(row).await }));
    };
    // The first write may have opened a second connection, but never a third.
    for numbers in [1..2, 2..10, 10..80] {
        numbers.for_each(&mut come);
        // Time enough for a commit to begin, or for another connection to be refused.
        for _ in 0..100 {
            client.query_one(HELD_UP, &[]).await.unwrap();
        }
    }
    let held_up: i64 = client.query_one(HELD_UP, &[]).await.unwrap().get(0);
    assert!((1..=2).contains(&held_up), "{held_up}");
    client.batch_execute(OPEN_GATE).await.unwrap();
    for written in join_all(waiting).await {
        assert_eq!(written.unwrap().unwrap(), InboxOutcome::New);
    }
    assert!(!writer.sends_away());
}

#[tokio::test]
async fn a_batch_is_bounded_in_rows_and_in_bytes() {
    let room = Room::new().await;
    // A row counts with its body and 512 bytes.
    for (settings, commits) in [
        (
            WriterSettings {
                max_batch_rows: 10,
                ..WriterSettings::default()
            },
            1 + 4,
        ),
        (
            WriterSettings {
                max_batch_bytes: 612 * 20,
                ..WriterSettings::default()
            },
            1 + 2,
        ),
        (
            WriterSettings {
                max_batch_bytes: 1,
                ..WriterSettings::default()
            },
            1 + 40,
        ),
    ] {
        let client = room.db.client().await;
        client.batch_execute("TRUNCATE inbox").await.unwrap();
        let writer = writer(&room, settings);
        client.batch_execute(HOLD_UP).await.unwrap();
        let first = tokio::spawn({
            let (writer, row) = (writer.clone(), row(&room, 0));
            async move { writer.write(row).await }
        });
        held_up(&room).await;
        let others = join_all((1..=40).map(|number| writer.write(row(&room, number))));
        let (others, ()) = tokio::join!(others, async {
            tokio::task::yield_now().await;
            client.batch_execute(LET_GO).await.unwrap();
        });
        first.await.unwrap().unwrap();
        assert!(others.into_iter().all(|outcome| outcome.is_ok()));
        let sql = "SELECT count(DISTINCT xmin::text) FROM inbox";
        assert_eq!(number(&room, sql).await, commits, "{settings:?}");
    }
}

#[tokio::test]
async fn one_poisonous_row_does_not_fail_its_neighbours_and_is_kept_without_what_poisons() {
    let room = Room::new().await;
    let writer = writer(&room, WriterSettings::default());
    let rows = (0..10).map(|number| {
        let mut row = row(&room, number);
        if number == 4 {
            // PostgreSQL takes no NUL in a text.
            row.event_type = Some("some\0news".to_owned());
        }
        row
    });
    let outcomes = join_all(rows.map(|row| writer.write(row))).await;
    for outcome in outcomes {
        assert_eq!(outcome.unwrap(), InboxOutcome::New);
    }
    assert_eq!(
        number(&room, "SELECT count(*) FROM inbox WHERE status = 'pending'").await,
        9
    );
    let kept = "SELECT count(*) FROM inbox WHERE status = 'quarantined' AND reason = 'unstorable' AND event_type IS NULL \
                AND body_sealed = decode(repeat('04', 100), 'hex')";
    assert_eq!(number(&room, kept).await, 1);
}

#[tokio::test]
async fn a_full_queue_says_so_at_once_and_what_it_holds_is_kept() {
    let room = Room::new().await;
    for settings in [
        WriterSettings {
            max_queued_requests: 3,
            ..WriterSettings::default()
        },
        WriterSettings {
            max_queued_bytes: 612 * 3,
            ..WriterSettings::default()
        },
    ] {
        let client = room.db.client().await;
        client.batch_execute("TRUNCATE inbox").await.unwrap();
        let writer = writer(&room, settings);
        client.batch_execute(HOLD_UP).await.unwrap();
        let first = tokio::spawn({
            let (writer, row) = (writer.clone(), row(&room, 0));
            async move { writer.write(row).await }
        });
        held_up(&room).await;
        let queued: Vec<_> = (1..=3)
            .map(|number| {
                let (writer, row) = (writer.clone(), row(&room, number));
                tokio::spawn(async move { writer.write(row).await })
            })
            .collect();
        tokio::task::yield_now().await;
        let refused = writer.write(row(&room, 9)).await.unwrap_err();
        assert!(matches!(refused, IntakeError::Full), "{refused}");
        assert_eq!(refused.fate(), Fate::RETRY);
        client.batch_execute(LET_GO).await.unwrap();
        for kept in queued.into_iter().chain([first]) {
            assert_eq!(kept.await.unwrap().unwrap(), InboxOutcome::New);
        }
        assert_eq!(number(&room, "SELECT count(*) FROM inbox").await, 4);
    }
}

#[tokio::test]
async fn a_request_that_has_given_up_is_not_written() {
    let room = Room::new().await;
    let writer = writer(&room, WriterSettings::default());
    let client = room.db.client().await;
    client.batch_execute(HOLD_UP).await.unwrap();
    let first = tokio::spawn({
        let (writer, row) = (writer.clone(), row(&room, 0));
        async move { writer.write(row).await }
    });
    held_up(&room).await;
    let gives_up = tokio::spawn({
        let (writer, row) = (writer.clone(), row(&room, 1));
        async move { writer.write(row).await }
    });
    tokio::task::yield_now().await;
    gives_up.abort();
    assert!(gives_up.await.unwrap_err().is_cancelled());
    client.batch_execute(LET_GO).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(until_kept(&writer, &room, 2).await, InboxOutcome::New);
    assert_eq!(number(&room, "SELECT count(*) FROM inbox").await, 2);
}

#[tokio::test]
async fn a_broken_connection_costs_no_request() {
    let room = Room::new().await;
    let writer = writer(&room, WriterSettings::default());
    assert_eq!(writer.write(row(&room, 0)).await.unwrap(), InboxOutcome::New);
    let client = room.db.client().await;
    let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                     AND application_name = 'domicile' AND pid <> pg_backend_pid()";
    // While nothing is being written, and in the middle of a batch.
    client.batch_execute(terminate).await.unwrap();
    assert_eq!(writer.write(row(&room, 1)).await.unwrap(), InboxOutcome::New);
    client.batch_execute(HOLD_UP).await.unwrap();
    let interrupted = tokio::spawn({
        let (writer, row) = (writer.clone(), row(&room, 2));
        async move { writer.write(row).await }
    });
    held_up(&room).await;
    client.batch_execute(terminate).await.unwrap();
    client.batch_execute(LET_GO).await.unwrap();
    assert_eq!(interrupted.await.unwrap().unwrap(), InboxOutcome::New);
    assert_eq!(number(&room, "SELECT count(*) FROM inbox").await, 3);
}

#[tokio::test]
async fn while_the_database_is_away_requests_are_refused_at_once_and_kept_as_soon_as_it_is_back() {
    let room = Room::new().await;
    let writer = writer(&room, WriterSettings::default());
    assert_eq!(writer.write(row(&room, 0)).await.unwrap(), InboxOutcome::New);
    room.db.go_away().await;
    for _ in 0..3 {
        let refused = soon(writer.write(row(&room, 1))).await.unwrap_err();
        assert!(matches!(refused, IntakeError::Away), "{refused}");
        assert_eq!(refused.fate(), Fate::RETRY);
    }
    room.db.come_back().await;
    assert_eq!(until_kept(&writer, &room, 1).await, InboxOutcome::New);
    assert_eq!(number(&room, "SELECT count(*) FROM inbox").await, 2);
}

#[tokio::test]
async fn a_commit_that_is_never_confirmed_frees_the_queue() {
    let room = Room::new().await;
    let settings = WriterSettings {
        commit_timeout: Duration::from_millis(200),
        ..WriterSettings::default()
    };
    let writer = writer(&room, settings);
    let client = room.db.client().await;
    client.batch_execute(HOLD_UP).await.unwrap();
    let requests = join_all((0..5).map(|number| writer.write(row(&room, number))));
    for refused in soon(requests).await {
        assert!(matches!(refused, Err(IntakeError::Away)));
    }
    client.batch_execute(LET_GO).await.unwrap();
    for number in 0..5 {
        until_kept(&writer, &room, number).await;
    }
    assert_eq!(number(&room, "SELECT count(*) FROM inbox").await, 5);
}

/// INV-8: what is sealed under a destroyed key nobody could ever read.
#[tokio::test]
async fn an_event_is_never_kept_under_a_key_that_another_process_destroyed() {
    let room = Room::new().await;
    room.keep(recording("acc", "host", "before")).await;
    // The other process has the database and its own memory.
    let keys = RegionKeys::parse(&Secret::from(VAULT_KEYS)).unwrap();
    let other = Vault::new(room.db.db(), room.ids.clone(), keys);
    let account = ZoomAccountId::new("acc");
    let db = room.db.db();
    let destroyed = db.run_tx("destroy", async |conn: &mut Conn| {
        other.destroy(conn, &account).await
    });
    assert!(destroyed.await.unwrap().is_some());
    let body = recording("acc", "host", "after");
    let id = room.keep(&body).await;
    // This process still remembers the old key; a process that does not could open nothing that it sealed.
    let desk = InboxDesk::new(room.db.db(), room.ids.clone(), other);
    let opened = desk.body(id).await.unwrap();
    assert_eq!(opened.expose().as_slice(), body.as_bytes());
}

#[tokio::test]
async fn digests_are_in_the_order_of_events_whatever_the_order_of_arrival() {
    let room = Room::new().await;
    for time in [5, 3, 9, 1, 7] {
        let body = json!({"event": "some.news", "event_ts": 1_780_315_000_000_i64 + time}).to_string();
        room.keep(body).await;
    }
    room.keep(r#"{"event":"timeless"}"#).await;
    let client = room.db.client().await;
    let sql = "SELECT extract(milliseconds FROM event_at)::int % 10 FROM inbox ORDER BY digest";
    let rows = client.query(sql, &[]).await.unwrap();
    let times: Vec<Option<i32>> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(times, [None, Some(1), Some(3), Some(5), Some(7), Some(9)]);
}
