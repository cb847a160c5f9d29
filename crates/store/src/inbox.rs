//! What runs thousands of times a second: many rows of the inbox in one commit.
//!
//! It is written for tokio-postgres because its statements must be prepared once, and diesel never prepares `sql_query`.

mod copy;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

use domicile_kernel::{InboxId, KeyId, Timestamp, ZoomAccountId, ZoomUserId};
use futures_util::{FutureExt, SinkExt};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use tracing::warn;
use uuid::Uuid;

use crate::error::StoreError;
use crate::settings::DbSettings;
use crate::tls::{self, Connected};

/// A row that is ready to be written.
pub struct InboxRow {
    /// Its id.
    pub id: InboxId,
    /// `events` or `bot`.
    pub endpoint: &'static str,
    /// Unique with the endpoint.
    pub digest: [u8; 32],
    /// Why nobody shall handle it; nothing: it waits for its handlers.
    pub quarantined: Option<&'static str>,
    /// Zoom's event name.
    pub event_type: Option<String>,
    /// The account that the body names.
    pub zoom_account_id: Option<ZoomAccountId>,
    /// The user whom the body names.
    pub zoom_user_id: Option<ZoomUserId>,
    /// The Marketplace app that the body names.
    pub zoom_client_id: Option<String>,
    /// `x-zm-request-id`.
    pub zoom_request_id: Option<String>,
    /// The trace in which it arrived.
    pub traceparent: Option<String>,
    /// When it happened.
    pub event_at: Option<Timestamp>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The sealed body.
    pub body_sealed: Vec<u8>,
    /// How the body was coded before it was sealed.
    pub body_encoding: &'static str,
    /// The size of the raw body.
    pub body_size_bytes: i32,
    /// The account's key that sealed the body: the row is written only while that is alive. Nothing for the region's own.
    pub sealed_by: Option<KeyId>,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxOutcome {
    /// It is new.
    New,
    /// The same digest was there before at the same endpoint; nothing was changed.
    Duplicate,
    /// It was not written: the key that sealed it is destroyed, so nobody could ever read it (INV-8).
    KeyDestroyed,
}

/// Announces new rows on this channel; a hint.
pub const INBOX_CHANNEL: &str = "domicile_inbox";

/// Writes the rows that are new and whose keys are alive, and says which those are. A body that another transaction is keeping
/// right now is waited for, so a duplicate is answered only after the first is committed.
const INSERT: &str = "\
INSERT INTO inbox (id, endpoint, digest, status, event_type, zoom_account_id, zoom_user_id, zoom_client_id,
    zoom_request_id, traceparent, event_at, received_at, body_sealed, body_encoding, body_size_bytes, attempts,
    due_at, finished_at, reason)
SELECT r.id, r.endpoint, r.digest, CASE WHEN r.reason IS NULL THEN 'pending' ELSE 'quarantined' END, r.event_type,
    r.account, r.\"user\", r.client, r.request, r.trace, r.event_at, r.received_at, r.body, r.encoding, r.size, 0,
    r.received_at, CASE WHEN r.reason IS NULL THEN NULL ELSE r.received_at END, r.reason
FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::timestamptz[], $11::timestamptz[], $12::bytea[], $13::text[], $14::int4[], $15::text[], $16::uuid[])
    AS r (id, endpoint, digest, event_type, account, \"user\", client, request, trace, event_at, received_at, body,
        encoding, size, reason, key)
WHERE r.key IS NULL OR EXISTS (SELECT FROM vault_keys AS v WHERE v.id = r.key AND v.destroyed_at IS NULL)
ON CONFLICT (endpoint, digest) DO NOTHING
RETURNING id";

/// The same for a row that comes alone: PostgreSQL starts it in much less time.
const INSERT_ONE: &str = "\
INSERT INTO inbox (id, endpoint, digest, status, event_type, zoom_account_id, zoom_user_id, zoom_client_id,
    zoom_request_id, traceparent, event_at, received_at, body_sealed, body_encoding, body_size_bytes, attempts,
    due_at, finished_at, reason)
SELECT $1, $2, $3, CASE WHEN $15::text IS NULL THEN 'pending' ELSE 'quarantined' END, $4, $5, $6, $7, $8, $9, $10,
    $11::timestamptz, $12, $13, $14, 0, $11, CASE WHEN $15 IS NULL THEN NULL ELSE $11 END, $15
WHERE $16::uuid IS NULL OR EXISTS (SELECT FROM vault_keys WHERE id = $16 AND destroyed_at IS NULL)
ON CONFLICT (endpoint, digest) DO NOTHING";

/// Which of these keys are alive.
const LIVE_KEYS: &str = "SELECT id FROM vault_keys WHERE id = ANY ($1::uuid[]) AND destroyed_at IS NULL";

/// A transaction of its own, which holds nothing and so need not reach the disk. Among the rows it would hold others up: PostgreSQL
/// commits one transaction with a notification at a time.
const ANNOUNCE: &str =
    "SELECT set_config('synchronous_commit', 'off', true), pg_notify('domicile_inbox', '')";

/// More rows than this are copied: for fewer a copy, which is four statements, costs more than it saves.
pub const MAX_INSERTED_ROWS: usize = 16;
/// After a copy that met a duplicate, none is tried for so many batches: Zoom repeats in storms, and such a copy was made for
/// nothing.
const BATCHES_WITH_DUPLICATES: u32 = 64;

/// Sightings are only ever moved on.
const SIGHT: &str = "\
INSERT INTO zoom_sightings AS s (endpoint, kind, zoom_account_id, last_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
ON CONFLICT (endpoint, kind, zoom_account_id) DO UPDATE SET last_at = excluded.last_at
WHERE s.last_at < excluded.last_at";

/// When Zoom was heard of.
pub struct Sighting {
    /// `events` or `bot`.
    pub endpoint: &'static str,
    /// `challenge` or `event`.
    pub kind: &'static str,
    /// The account of the events; empty for challenges and for events that name none.
    pub zoom_account_id: String,
    /// When.
    pub at: Timestamp,
}

/// A connection of its own for writing the inbox.
pub struct InboxLine {
    client: Client,
    copy: Statement,
    live_keys: Statement,
    insert: Statement,
    insert_one: Statement,
    sight: Statement,
    /// So many batches more are expected to hold duplicates.
    duplicates_expected: AtomicU32,
}

impl InboxLine {
    /// Opens the connection and prepares its statements. It is driven by the tokio runtime in which this is called.
    pub async fn open(settings: &DbSettings) -> Result<Self, StoreError> {
        let client = match tls::connect(settings).await? {
            Connected::Plain(client, connection) => {
                tokio::spawn(connection);
                client
            }
            Connected::Tls(client, connection) => {
                tokio::spawn(connection);
                client
            }
        };
        prepare_session(&client).await?;
        let (copy, live_keys, insert, insert_one, sight) = futures_util::future::try_join5(
            client.prepare(copy::COPY),
            client.prepare(LIVE_KEYS),
            client.prepare(INSERT),
            client.prepare(INSERT_ONE),
            client.prepare(SIGHT),
        )
        .await
        .map_err(refused)?;
        Ok(Self {
            client,
            copy,
            live_keys,
            insert,
            insert_one,
            sight,
            duplicates_expected: AtomicU32::new(0),
        })
    }

    /// True once the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Writes the rows in one commit, in this order, and says of each what became of it. Equal digests stand side by side. After an
    /// error, or when the future is dropped, it is not known whether they were written.
    pub async fn insert(&self, rows: &[&InboxRow]) -> Result<Vec<InboxOutcome>, StoreError> {
        let kept = match rows {
            [row] => self.insert_one(row).await?,
            rows if rows.len() > MAX_INSERTED_ROWS
                && self.expects_only_new(rows)
                && self.copy(rows).await? =>
            {
                Kept::All
            }
            rows => self.insert_new(rows).await?,
        };
        match kept {
            Kept::All => Ok(vec![InboxOutcome::New; rows.len()]),
            Kept::Some(kept) => self.tell_apart(rows, &kept).await,
        }
    }

    /// Of rows that were not kept, why.
    async fn tell_apart(
        &self,
        rows: &[&InboxRow],
        kept: &HashSet<Uuid>,
    ) -> Result<Vec<InboxOutcome>, StoreError> {
        let live = self
            .client
            .query(&self.live_keys, &[&keys(rows)])
            .await
            .map_err(refused)?;
        let live: HashSet<Uuid> = live
            .iter()
            .map(|row| row.try_get(0).map_err(refused))
            .collect::<Result<_, _>>()?;
        let outcome = |row: &&InboxRow| {
            if kept.contains(&row.id.as_uuid()) {
                InboxOutcome::New
            } else if row.sealed_by.is_some_and(|key| !live.contains(&key.as_uuid())) {
                // A duplicate whose key was destroyed in between comes again under another key, and is told then.
                InboxOutcome::KeyDestroyed
            } else {
                InboxOutcome::Duplicate
            }
        };
        Ok(rows.iter().map(outcome).collect())
    }

    fn expects_only_new(&self, rows: &[&InboxRow]) -> bool {
        let expected = self.duplicates_expected.load(Ordering::Relaxed);
        // Only one batch at a time is under way.
        self.duplicates_expected
            .store(expected.saturating_sub(1), Ordering::Relaxed);
        let same =
            |pair: &[&InboxRow]| matches!(pair, [a, b] if (a.endpoint, a.digest) == (b.endpoint, b.digest));
        expected == 0 && !rows.windows(2).any(same)
    }

    /// Writes the rows if all are new and their keys alive; false: nothing was written.
    ///
    /// The transaction is ended by a statement of its own: PostgreSQL says that a copy is complete before it commits, and tells
    /// nobody else when that fails (INV-2).
    async fn copy(&self, rows: &[&InboxRow]) -> Result<bool, StoreError> {
        let keys = keys(rows);
        // All at once and in this order: one trip to the server.
        let (begun, live, copying) = futures_util::future::join3(
            self.client.batch_execute("BEGIN"),
            self.client.query(&self.live_keys, &[&keys]),
            self.client.copy_in(&self.copy),
        )
        .await;
        begun.map_err(refused)?;
        let to = match (live, copying) {
            (Ok(live), Ok(to)) if live.len() == keys.len() => to,
            (live, copying) => {
                let failed = live.err().or(copying.err());
                self.roll_back().await?;
                return failed.map_or(Ok(false), |error| Err(refused(error)));
            }
        };
        let mut to = Box::pin(to);
        for piece in copy::encode(rows) {
            let Ok(piece) = piece else {
                drop(to);
                self.roll_back().await?;
                return Err(StoreError::Refused {
                    sqlstate: "54000".to_owned(),
                });
            };
            if to.feed(piece).await.is_err() {
                // The end says why.
                break;
            }
        }
        let (copied, committed) =
            futures_util::future::join(to.as_mut().finish(), self.client.batch_execute("COMMIT")).await;
        match (copied, committed) {
            (Ok(_), Ok(())) => Ok(true),
            // Then the end of the transaction was a rollback.
            (Err(error), Ok(())) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                self.duplicates_expected
                    .store(BATCHES_WITH_DUPLICATES, Ordering::Relaxed);
                Ok(false)
            }
            (Err(error), _) | (_, Err(error)) => Err(refused(error)),
        }
    }

    async fn roll_back(&self) -> Result<(), StoreError> {
        self.client.batch_execute("ROLLBACK").await.map_err(refused)
    }

    async fn insert_new(&self, rows: &[&InboxRow]) -> Result<Kept, StoreError> {
        macro_rules! column {
            (|$row:ident| $value:expr) => {
                rows.iter().map(|$row| $value).collect::<Vec<_>>()
            };
        }
        let parameters: [&(dyn ToSql + Sync); 16] = [
            &column!(|row| row.id.as_uuid()),
            &column!(|row| row.endpoint),
            &column!(|row| row.digest.as_slice()),
            &column!(|row| row.event_type.as_deref()),
            &column!(|row| row.zoom_account_id.as_ref().map(ZoomAccountId::as_str)),
            &column!(|row| row.zoom_user_id.as_ref().map(ZoomUserId::as_str)),
            &column!(|row| row.zoom_client_id.as_deref()),
            &column!(|row| row.zoom_request_id.as_deref()),
            &column!(|row| row.traceparent.as_deref()),
            &column!(|row| row.event_at),
            &column!(|row| row.received_at),
            &column!(|row| row.body_sealed.as_slice()),
            &column!(|row| row.body_encoding),
            &column!(|row| row.body_size_bytes),
            &column!(|row| row.quarantined),
            &column!(|row| row.sealed_by.map(|key| key.as_uuid())),
        ];
        let kept = self
            .client
            .query(&self.insert, &parameters)
            .await
            .map_err(refused)?;
        if kept.len() == rows.len() {
            return Ok(Kept::All);
        }
        let kept = kept.iter().map(|row| row.try_get(0).map_err(refused));
        kept.collect::<Result<_, _>>().map(Kept::Some)
    }

    async fn insert_one(&self, row: &InboxRow) -> Result<Kept, StoreError> {
        let parameters: [&(dyn ToSql + Sync); 16] = [
            &row.id.as_uuid(),
            &row.endpoint,
            &row.digest.as_slice(),
            &row.event_type,
            &row.zoom_account_id.as_ref().map(ZoomAccountId::as_str),
            &row.zoom_user_id.as_ref().map(ZoomUserId::as_str),
            &row.zoom_client_id,
            &row.zoom_request_id,
            &row.traceparent,
            &row.event_at,
            &row.received_at,
            &row.body_sealed,
            &row.body_encoding,
            &row.body_size_bytes,
            &row.quarantined,
            &row.sealed_by.map(|key| key.as_uuid()),
        ];
        match self.client.execute(&self.insert_one, &parameters).await {
            Ok(0) => Ok(Kept::Some(HashSet::new())),
            Ok(_) => Ok(Kept::All),
            Err(error) => Err(refused(error)),
        }
    }

    /// Wakes who waits for new rows, after all that was asked of this connection before. It is not waited for, and what comes of it
    /// is not heard.
    pub fn announce(&self) {
        // The first look at it sends it.
        let _ = self.client.batch_execute(ANNOUNCE).now_or_never();
    }

    /// Writes down when Zoom was heard of; no pair of endpoint, kind and account may be there twice.
    pub async fn sight(&self, sightings: &[Sighting]) -> Result<(), StoreError> {
        macro_rules! column {
            (|$it:ident| $value:expr) => {
                sightings.iter().map(|$it| $value).collect::<Vec<_>>()
            };
        }
        let parameters: [&(dyn ToSql + Sync); 4] = [
            &column!(|it| it.endpoint),
            &column!(|it| it.kind),
            &column!(|it| it.zoom_account_id.as_str()),
            &column!(|it| it.at),
        ];
        self.client
            .execute(&self.sight, &parameters)
            .await
            .map_err(refused)?;
        Ok(())
    }
}

/// Which rows a statement has written.
enum Kept {
    All,
    Some(HashSet<Uuid>),
}

/// The accounts' keys that sealed the rows, each once.
fn keys(rows: &[&InboxRow]) -> Vec<Uuid> {
    let mut keys: Vec<Uuid> = rows
        .iter()
        .filter_map(|row| row.sealed_by.map(|key| key.as_uuid()))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// INV-2 does not hold while a commit may be confirmed before it is on disk. The session's own setting is mended, a stronger one
/// is left as it is; the server's own is the operator's.
async fn prepare_session(client: &Client) -> Result<(), StoreError> {
    let row = client
        .query_one(
            "SELECT current_setting('synchronous_commit'), current_setting('fsync')",
            &[],
        )
        .await
        .map_err(refused)?;
    let (synchronous_commit, fsync): (&str, &str) =
        (row.try_get(0).map_err(refused)?, row.try_get(1).map_err(refused)?);
    // PostgreSQL would plan the long statement anew each time, because it thinks that it knows more of the arrays then.
    client
        .batch_execute("SET plan_cache_mode = force_generic_plan")
        .await
        .map_err(refused)?;
    if synchronous_commit == "off" {
        client
            .batch_execute("SET synchronous_commit = on")
            .await
            .map_err(refused)?;
    }
    if fsync == "off" {
        warn!(
            "PostgreSQL runs with fsync=off: what Zoom was told 2xx for may be lost when its machine fails"
        );
    }
    Ok(())
}

/// PostgreSQL's own words may quote a row, so only its code is kept (INV-3).
fn refused(error: tokio_postgres::Error) -> StoreError {
    let Some(code) = error.code() else {
        return StoreError::Unavailable(Box::new(error));
    };
    let code = code.code();
    match code {
        "40001" | "40P01" => StoreError::Conflict { name: "" },
        // Connection trouble, a shutdown, no resources, a lock or time limit, a server that only reads.
        _ if ["08", "53", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class))
            || matches!(code, "55P03" | "25006") =>
        {
            StoreError::Unavailable(format!("SQLSTATE {code}").into())
        }
        _ => StoreError::Refused {
            sqlstate: code.to_owned(),
        },
    }
}
