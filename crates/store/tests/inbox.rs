//! The writer's connection against a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed; the panic says why"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use domicile_kernel::{InboxId, KeyId, Timestamp, ZoomAccountId, ZoomUserId};
use domicile_store::inbox::{INBOX_CHANNEL, InboxLine, InboxOutcome, InboxRow, MAX_INSERTED_ROWS};
use domicile_store::{StoreError, listen};
use domicile_testkit::db::TestDb;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use InboxOutcome::{Duplicate, KeyDestroyed, New};

struct Place {
    db: TestDb,
    client: Client,
    line: InboxLine,
    /// So many other rows are written with each batch.
    others: usize,
    written: AtomicU64,
}

/// Few rows are inserted, many are copied.
const OTHERS: [usize; 2] = [0, MAX_INSERTED_ROWS];

impl Place {
    async fn new(others: usize) -> Self {
        let db = TestDb::create().await;
        Self {
            client: db.client().await,
            line: InboxLine::open(&db.settings()).await.unwrap(),
            db,
            others,
            written: AtomicU64::new(0),
        }
    }

    fn other(&self) -> InboxRow {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let mut digest = [255; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        InboxRow {
            id: InboxId::from_uuid(Uuid::from_u128(1_000_000 + u128::from(number))),
            digest,
            zoom_request_id: Some("other".to_owned()),
            ..row(0)
        }
    }

    async fn insert(&self, rows: &[InboxRow]) -> Result<Vec<InboxOutcome>, StoreError> {
        let others: Vec<_> = (0..self.others).map(|_| self.other()).collect();
        let all: Vec<_> = rows.iter().chain(&others).collect();
        let mut outcomes = self.line.insert(&all).await?;
        let others = outcomes.split_off(rows.len());
        assert!(others.iter().all(|outcome| *outcome == New), "{others:?}");
        Ok(outcomes)
    }

    /// Rows, without those that were written beside them.
    async fn rows(&self) -> i64 {
        self.number("SELECT count(*) FROM inbox WHERE zoom_request_id IS DISTINCT FROM 'other'")
            .await
    }

    async fn outcomes(&self, rows: &[InboxRow]) -> Vec<InboxOutcome> {
        self.insert(rows).await.unwrap()
    }

    async fn number(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// An account's key, alive or not.
    async fn key(&self, number: u8, alive: bool) -> KeyId {
        let id = Uuid::from_bytes([number; 16]);
        let sql = "INSERT INTO vault_keys (id, zoom_account_id, region_key_id, wrapped_key, created_at, destroyed_at)
                   VALUES ($1, $2, 'key', CASE WHEN $3 THEN '\\x00'::bytea END, now(), CASE WHEN $3 THEN NULL ELSE now() END)";
        let account = format!("account-{number}");
        self.client.execute(sql, &[&id, &account, &alive]).await.unwrap();
        KeyId::from_uuid(id)
    }

    /// What committed this row.
    async fn transaction_of(&self, row: &InboxRow) -> i64 {
        let sql = "SELECT xmin::text::bigint FROM inbox WHERE id = $1";
        let row = self.client.query_one(sql, &[&row.id.as_uuid()]).await.unwrap();
        row.get(0)
    }
}

fn time() -> Timestamp {
    DateTime::from_timestamp(1_795_000_000, 123_456_000).unwrap()
}

/// Row `number`, with as little in it as may be.
fn row(number: u8) -> InboxRow {
    InboxRow {
        id: InboxId::from_uuid(Uuid::from_u128(u128::from(number))),
        endpoint: "events",
        digest: [number; 32],
        quarantined: None,
        event_type: None,
        zoom_account_id: None,
        zoom_user_id: None,
        zoom_client_id: None,
        zoom_request_id: None,
        traceparent: None,
        event_at: None,
        received_at: time(),
        body_sealed: vec![number; 100],
        body_encoding: "identity",
        body_size_bytes: 100,
        sealed_by: None,
    }
}

/// The same event, come once more.
fn again(number: u8) -> InboxRow {
    InboxRow {
        id: InboxId::from_uuid(Uuid::from_u128(1000 + u128::from(number))),
        ..row(number)
    }
}

/// Row `number` with something in every column.
fn full(number: u8, sealed_by: KeyId) -> InboxRow {
    InboxRow {
        endpoint: "bot",
        event_type: Some("bot_notification".to_owned()),
        zoom_account_id: Some(ZoomAccountId::new("ac\"c\\ount\n")),
        zoom_user_id: Some(ZoomUserId::new("üser")),
        zoom_client_id: Some("client".to_owned()),
        zoom_request_id: Some("request".to_owned()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        event_at: Some(time() - TimeDelta::milliseconds(1)),
        body_encoding: "zstd-1",
        body_size_bytes: 4711,
        sealed_by: Some(sealed_by),
        ..row(number)
    }
}

/// Every column of a row, as text.
async fn columns(client: &Client, row: &InboxRow) -> String {
    let sql = "SELECT (to_jsonb(i) - 'id' - 'digest' - 'body_sealed')::text || length(i.body_sealed)
               FROM inbox AS i WHERE id = $1";
    let row = client.query_one(sql, &[&row.id.as_uuid()]).await.unwrap();
    row.get(0)
}

#[tokio::test]
async fn rows_that_come_together_are_stored_in_one_commit_as_each_would_be_alone() {
    for others in OTHERS {
        let place = Place::new(others).await;
        let key = place.key(200, true).await;
        let quarantined = |number| InboxRow {
            quarantined: Some("unparseable"),
            ..row(number)
        };
        let together = [row(1), full(2, key), quarantined(3)];
        assert_eq!(place.outcomes(&together).await, [New; 3]);
        let mut commits = Vec::new();
        for row in &together {
            commits.push(place.transaction_of(row).await);
        }
        assert!(commits.iter().all(|commit| *commit == commits[0]), "{commits:?}");

        for (one, other) in together.iter().zip([row(4), full(5, key), quarantined(6)]) {
            assert_eq!(place.outcomes(std::slice::from_ref(&other)).await, [New]);
            assert_eq!(
                columns(&place.client, one).await,
                columns(&place.client, &other).await
            );
        }
        assert_eq!(place.rows().await, 6);
    }
}

#[tokio::test]
async fn what_is_there_already_is_told_from_what_is_new() {
    for others in OTHERS {
        let place = Place::new(others).await;
        assert_eq!(place.outcomes(&[row(1), row(2)]).await, [New, New]);
        assert_eq!(
            place.outcomes(&[again(1), row(3), again(2), row(4)]).await,
            [Duplicate, New, Duplicate, New]
        );
        assert_eq!(place.rows().await, 4);

        // Twice in one batch; which of the two is kept is no matter.
        let outcomes = place.outcomes(&[row(5), again(5), row(6)]).await;
        assert_eq!((outcomes[0] == New, outcomes[2]), (outcomes[1] == Duplicate, New));
        assert_eq!(place.rows().await, 6);

        let elsewhere = InboxRow {
            endpoint: "bot",
            ..again(1)
        };
        assert_eq!(place.outcomes(&[elsewhere, row(7)]).await, [New, New]);
    }
}

#[tokio::test]
async fn in_a_storm_of_repetitions_only_the_first_batch_is_copied_in_vain() {
    let place = Place::new(MAX_INSERTED_ROWS).await;
    // A sequence remembers what a transaction that was undone did.
    let count_tries = "
        CREATE SEQUENCE tries;
        CREATE FUNCTION count_try() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM nextval(''tries''); RETURN NEW; END';
        CREATE TRIGGER count_try BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION count_try()";
    place.client.batch_execute(count_tries).await.unwrap();
    place.outcomes(&[row(1), row(2)]).await;
    for number in 3..6 {
        place.outcomes(&[again(1), row(number)]).await;
    }
    let rows = i64::try_from(4 * (2 + MAX_INSERTED_ROWS)).unwrap();
    // The copy came to an end at its first row.
    assert_eq!(place.number("SELECT last_value FROM tries").await, rows + 1);
}

/// INV-8.
#[tokio::test]
async fn nothing_is_kept_under_a_destroyed_key_and_its_neighbours_are() {
    for others in OTHERS {
        let place = Place::new(others).await;
        let (alive, dead) = (place.key(200, true).await, place.key(201, false).await);
        assert_eq!(
            place.outcomes(&[full(1, alive), full(2, dead), row(3)]).await,
            [New, KeyDestroyed, New]
        );
        assert_eq!(
            place.outcomes(&[full(4, dead), full(5, dead)]).await,
            [KeyDestroyed; 2]
        );
        assert_eq!(place.outcomes(&[full(6, alive), full(7, alive)]).await, [New; 2]);
        // Alone too: to call it a duplicate would be to lose it.
        assert_eq!(place.outcomes(&[full(8, dead)]).await, [KeyDestroyed]);
        assert_eq!(place.outcomes(&[full(6, alive)]).await, [Duplicate]);
        assert_eq!(place.rows().await, 4);
    }
}

#[tokio::test]
async fn a_row_that_fits_no_column_fails_its_batch_with_the_code_alone_and_the_line_goes_on() {
    for others in OTHERS {
        let place = Place::new(others).await;
        let poison = InboxRow {
            event_type: Some("a\0b".to_owned()),
            ..row(2)
        };
        match place.insert(&[row(1), poison]).await {
            Err(StoreError::Refused { sqlstate }) => assert_eq!(sqlstate, "22021"),
            other => panic!("{other:?}"),
        }
        assert_eq!(place.rows().await, 0);
        assert_eq!(place.outcomes(&[row(1), row(3)]).await, [New, New]);
    }
}

#[tokio::test]
async fn who_writes_waits_for_another_transaction_that_is_keeping_the_same_event() {
    for others in OTHERS {
        let place = Place::new(others).await;
        let mut other = place.db.client().await;
        let first = other.transaction().await.unwrap();
        let sql = "INSERT INTO inbox (id, endpoint, digest, status, received_at, body_sealed, body_size_bytes, attempts, due_at)
                   VALUES (gen_random_uuid(), 'events', $1, 'pending', now(), '\\x00', 1, 0, now())";
        first.execute(sql, &[&[1_u8; 32].as_slice()]).await.unwrap();
        let rows = [row(1), row(2)];
        let writing = place.outcomes(&rows);
        let committing = async {
            let waits = "SELECT count(*) FROM pg_stat_activity
                         WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while place.number(waits).await == 0 {
                tokio::task::yield_now().await;
            }
            first.commit().await.unwrap();
        };
        let (outcomes, ()) = tokio::join!(writing, committing);
        assert_eq!(outcomes, [Duplicate, New]);
    }
}

/// INV-2: PostgreSQL says that a statement is complete before it commits.
#[tokio::test]
async fn what_fails_only_when_it_is_committed_is_not_said_to_be_kept() {
    for others in OTHERS {
        let place = Place::new(others).await;
        let fails_at_commit = "
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN RAISE EXCEPTION SQLSTATE ''23514''; END';
            CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON inbox DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION fail()";
        place.client.batch_execute(fails_at_commit).await.unwrap();
        for rows in [&[row(1)][..], &[row(2), row(3)], &[row(4), again(4), row(5)]] {
            match place.insert(rows).await {
                Err(StoreError::Refused { sqlstate }) => assert_eq!(sqlstate, "23514"),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(place.rows().await, 0);
        // The connection is as good as before.
        place
            .client
            .batch_execute("DROP TRIGGER fail ON inbox")
            .await
            .unwrap();
        assert_eq!(place.outcomes(&[row(1), row(2)]).await, [New, New]);
    }
}

/// INV-2: a server that is told to stop ends its sessions wherever they are, with all their words still unsent.
#[tokio::test]
async fn what_is_ended_while_it_is_committed_is_not_said_to_be_kept() {
    let together = [row(1), row(2)];
    for (rows, others) in [
        (&together[..1], 0),
        (&together, 0),
        (&together, MAX_INSERTED_ROWS),
    ] {
        let place = Place::new(others).await;
        let ends_at_commit = "
            CREATE FUNCTION done() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60); RETURN NULL; END';
            CREATE CONSTRAINT TRIGGER done AFTER INSERT ON inbox DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION done()";
        place.client.batch_execute(ends_at_commit).await.unwrap();
        match place.insert(rows).await {
            Err(StoreError::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(place.rows().await, 0);
    }
}

/// INV-2.
#[tokio::test]
async fn who_waits_is_woken_and_the_next_commit_is_as_strict_as_before() {
    let place = Place::new(0).await;
    let note_setting = "
        CREATE TABLE noted (setting text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO noted SELECT current_setting(''synchronous_commit''); RETURN NEW; END';
        CREATE TRIGGER note BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION note()";
    place.client.batch_execute(note_setting).await.unwrap();
    let (tell, mut told) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let listening = tokio::spawn({
        let (settings, stop) = (place.db.settings(), stop.clone());
        async move {
            listen(&settings, INBOX_CHANNEL, stop, |_| {
                let _ = tell.send(());
            })
            .await;
        }
    });
    // It may be said before anybody listens.
    loop {
        place.line.announce();
        if timeout(Duration::from_millis(50), told.recv()).await.is_ok() {
            break;
        }
    }
    stop.cancel();
    listening.await.unwrap();
    place.line.announce();
    assert_eq!(place.outcomes(&[row(1)]).await, [New]);
    let strict = "SELECT count(*) FROM noted WHERE setting = 'on'";
    assert_eq!(place.number(strict).await, 1);
}

#[tokio::test]
async fn a_row_that_cannot_be_so_is_refused_whatever_writes_it() {
    let place = Place::new(0).await;
    assert_eq!(place.outcomes(&[row(1)]).await, [New]);
    for change in [
        "endpoint = 'elsewhere'",
        "digest = '\\x00'",
        "body_encoding = 'gzip'",
        "status = 'unknown', finished_at = now()",
        "status = 'dispatched'",
        "finished_at = now()",
        "status = 'quarantined', finished_at = now()",
        "status = 'quarantined', reason = 'operator'",
    ] {
        let refused = place
            .client
            .batch_execute(&format!("UPDATE inbox SET {change}"))
            .await;
        let code = refused.unwrap_err().code().unwrap().code().to_owned();
        assert_eq!(code, "23514", "{change}");
    }
    for change in [
        "status = 'dispatched', finished_at = now()",
        "status = 'quarantined', reason = 'operator'",
        "status = 'pending', finished_at = NULL, reason = NULL",
    ] {
        let sql = format!("UPDATE inbox SET {change}");
        place.client.batch_execute(&sql).await.unwrap();
    }
    let unknown = |number| InboxRow {
        body_encoding: "gzip",
        ..row(number)
    };
    for others in OTHERS {
        let place = Place::new(others).await;
        match place.insert(&[unknown(2), row(3)]).await {
            Err(StoreError::Refused { sqlstate }) => assert_eq!(sqlstate, "23514"),
            other => panic!("{other:?}"),
        }
        assert_eq!(place.rows().await, 0);
    }
}
