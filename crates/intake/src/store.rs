//! The queries of the `inbox` table that its dispatchers run; what operators ask is in [`desk`].

pub(crate) mod desk;
mod due;

use diesel::dsl::{count_star, max, min};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl, TransactionManager};
use domicile_kernel::{InboxId, Timestamp, ZoomAccountId, ZoomUserId};
use domicile_store::schema::{inbox, zoom_sightings};
use domicile_store::{Conn, StoreError, one_row};
use uuid::Uuid;

use crate::endpoint::Endpoint;
use crate::reason::QuarantineReason;

pub(crate) use due::lock_due;

pub(crate) const PENDING: &str = "pending";
pub(crate) const DISPATCHED: &str = "dispatched";
pub(crate) const QUARANTINED: &str = "quarantined";

/// A body as its row holds it.
pub(crate) struct SealedBody {
    pub(crate) sealed: Vec<u8>,
    pub(crate) encoding: String,
    pub(crate) size_bytes: usize,
}

/// The sealed body of a row.
pub(crate) async fn body(conn: &mut Conn, id: InboxId) -> Result<SealedBody, StoreError> {
    let (sealed, encoding, size_bytes): (Vec<u8>, String, i32) = inbox::table
        .select((inbox::body_sealed, inbox::body_encoding, inbox::body_size_bytes))
        .filter(inbox::id.eq(id.as_uuid()))
        .first(conn)
        .await?;
    Ok(SealedBody {
        sealed,
        encoding,
        size_bytes: usize::try_from(size_bytes).unwrap_or(0),
    })
}

/// A row that waits for its handlers.
pub(crate) struct PendingRow {
    pub(crate) id: InboxId,
    pub(crate) endpoint: Endpoint,
    pub(crate) event_type: Option<String>,
    pub(crate) zoom_account_id: Option<ZoomAccountId>,
    pub(crate) zoom_user_id: Option<ZoomUserId>,
    pub(crate) zoom_client_id: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) attempts: i16,
}

macro_rules! pending {
    ($ids:expr) => {
        inbox::table
            .filter(inbox::id.eq_any($ids.iter().map(|id| id.as_uuid())))
            .filter(inbox::status.eq(PENDING))
    };
}

/// Ends rows whose handlers have taken them.
pub(crate) async fn dispatched(conn: &mut Conn, ids: &[InboxId], now: Timestamp) -> Result<(), StoreError> {
    let rows = diesel::update(pending!(ids))
        .set((
            inbox::status.eq(DISPATCHED),
            inbox::finished_at.eq(now),
            inbox::reason.eq(None::<String>),
        ))
        .execute(conn)
        .await?;
    all_rows("end rows of the inbox", rows, ids)
}

/// Puts rows that nobody can take into quarantine.
pub(crate) async fn quarantine(
    conn: &mut Conn,
    ids: &[InboxId],
    reason: QuarantineReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = diesel::update(pending!(ids))
        .set((
            inbox::status.eq(QUARANTINED),
            inbox::finished_at.eq(now),
            inbox::reason.eq(reason.as_str()),
        ))
        .execute(conn)
        .await?;
    all_rows("quarantine rows of the inbox", rows, ids)
}

/// Puts a row into quarantine after this many failed attempts.
pub(crate) async fn quarantine_spent(
    conn: &mut Conn,
    id: InboxId,
    reason: QuarantineReason,
    attempts: i16,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = diesel::update(pending!([id]))
        .set((
            inbox::status.eq(QUARANTINED),
            inbox::finished_at.eq(now),
            inbox::attempts.eq(attempts),
            inbox::reason.eq(reason.as_str()),
        ))
        .execute(conn)
        .await?;
    one_row("quarantine a row of the inbox", rows)
}

fn all_rows(what: &'static str, rows: usize, ids: &[InboxId]) -> Result<(), StoreError> {
    if rows == ids.len() {
        Ok(())
    } else {
        Err(StoreError::NotOneRow { what, rows })
    }
}

/// Puts a failed row off.
pub(crate) async fn postpone(
    conn: &mut Conn,
    id: InboxId,
    reason: QuarantineReason,
    attempts: i16,
    due_at: Timestamp,
) -> Result<(), StoreError> {
    let rows = diesel::update(pending!([id]))
        .set((
            inbox::due_at.eq(due_at),
            inbox::attempts.eq(attempts),
            inbox::reason.eq(reason.as_str()),
        ))
        .execute(conn)
        .await?;
    one_row("postpone a row of the inbox", rows)
}

/// How many rows wait, and when the oldest of them was received.
pub(crate) async fn pending_statistics(conn: &mut Conn) -> Result<(i64, Option<Timestamp>), StoreError> {
    Ok(inbox::table
        .filter(inbox::status.eq(PENDING))
        .select((count_star(), min(inbox::received_at)))
        .first(conn)
        .await?)
}

/// How many rows are in quarantine, by reason.
pub(crate) async fn quarantine_statistics(conn: &mut Conn) -> Result<Vec<(String, i64)>, StoreError> {
    let rows: Vec<(Option<String>, i64)> = inbox::table
        .filter(inbox::status.eq(QUARANTINED))
        .group_by(inbox::reason)
        .select((inbox::reason, count_star()))
        .order(inbox::reason)
        .load(conn)
        .await?;
    let row = |(reason, rows): (Option<String>, i64)| (reason.unwrap_or_default(), rows);
    Ok(rows.into_iter().map(row).collect())
}

/// When Zoom was last heard of, by endpoint and kind.
pub(crate) async fn last_sightings(
    conn: &mut Conn,
) -> Result<Vec<(String, String, Option<Timestamp>)>, StoreError> {
    Ok(zoom_sightings::table
        .group_by((zoom_sightings::endpoint, zoom_sightings::kind))
        .select((
            zoom_sightings::endpoint,
            zoom_sightings::kind,
            max(zoom_sightings::last_at),
        ))
        .order((zoom_sightings::endpoint, zoom_sightings::kind))
        .load(conn)
        .await?)
}

/// The lowest id that can have been made at this time or later: ids begin with their time in milliseconds (RFC 9562).
pub(crate) fn first_id_of(time: Timestamp) -> Uuid {
    let millis = u64::try_from(time.timestamp_millis()).unwrap_or(0);
    Uuid::from_u128(u128::from(millis) << 80)
}

/// Deletes rows that were dispatched before this, at most so many. Ids are in the order of arrival, so they lie together at the
/// beginning of the primary key; what arrived long ago and was replayed just now is still needed by its jobs.
pub(crate) async fn delete_dispatched(
    conn: &mut Conn,
    dispatched_before: Timestamp,
    limit: i64,
) -> Result<usize, StoreError> {
    let old = inbox::table
        .select(inbox::id)
        .filter(inbox::id.lt(first_id_of(dispatched_before)))
        .filter(inbox::status.eq(DISPATCHED))
        .filter(inbox::finished_at.lt(dispatched_before))
        .order(inbox::id)
        .limit(limit)
        .for_update()
        .skip_locked();
    let ids: Vec<Uuid> = old.load(conn).await?;
    Ok(diesel::delete(inbox::table.filter(inbox::id.eq_any(ids)))
        .execute(conn)
        .await?)
}

/// Deletes rows that have been in quarantine and were received before this, at most so many.
pub(crate) async fn delete_quarantined(
    conn: &mut Conn,
    received_before: Timestamp,
    limit: i64,
) -> Result<usize, StoreError> {
    let old = inbox::table
        .select(inbox::id)
        .filter(inbox::status.eq(QUARANTINED))
        .filter(inbox::received_at.lt(received_before))
        .order(inbox::received_at)
        .limit(limit)
        .for_update()
        .skip_locked();
    let ids: Vec<Uuid> = old.load(conn).await?;
    Ok(diesel::delete(inbox::table.filter(inbox::id.eq_any(ids)))
        .execute(conn)
        .await?)
}

type Manager = <Conn as AsyncConnection>::TransactionManager;

/// Begins a part of the caller's transaction that can be undone alone.
pub(crate) async fn begin_savepoint(conn: &mut Conn) -> Result<(), StoreError> {
    Ok(Manager::begin_transaction(conn).await?)
}

/// Keeps what was done since [`begin_savepoint`].
pub(crate) async fn release_savepoint(conn: &mut Conn) -> Result<(), StoreError> {
    Ok(Manager::commit_transaction(conn).await?)
}

/// Undoes what was done since [`begin_savepoint`]; it fails if the connection is broken.
pub(crate) async fn undo_to_savepoint(conn: &mut Conn) -> Result<(), StoreError> {
    Ok(Manager::rollback_transaction(conn).await?)
}
