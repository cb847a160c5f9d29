//! The queries of the `inbox` table.

use diesel::dsl::{count_star, min};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl, TransactionManager};
use domicile_kernel::{InboxId, Timestamp, ZoomAccountId, ZoomUserId};
use domicile_store::schema::inbox;
use domicile_store::{Conn, StoreError, one_row};
use uuid::Uuid;

use crate::reason::QuarantineReason;

const PENDING: &str = "pending";
const DISPATCHED: &str = "dispatched";
const QUARANTINED: &str = "quarantined";

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
    pub(crate) event_type: Option<String>,
    pub(crate) zoom_account_id: Option<ZoomAccountId>,
    pub(crate) zoom_user_id: Option<ZoomUserId>,
    pub(crate) traceparent: Option<String>,
    pub(crate) attempts: i16,
}

type PendingColumns = (
    Uuid,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    i16,
);

/// Locks the row that has been due longest, passing over those that others hold.
pub(crate) async fn lock_next(conn: &mut Conn, now: Timestamp) -> Result<Option<PendingRow>, StoreError> {
    let row: Option<PendingColumns> = inbox::table
        .select((
            inbox::id,
            inbox::event_type,
            inbox::zoom_account_id,
            inbox::zoom_user_id,
            inbox::traceparent,
            inbox::attempts,
        ))
        .filter(inbox::status.eq(PENDING))
        .filter(inbox::due_at.le(now))
        .order((inbox::due_at, inbox::id))
        .for_update()
        .skip_locked()
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(
        |(id, event_type, account, user, traceparent, attempts)| PendingRow {
            id: id.into(),
            event_type,
            zoom_account_id: account.map(ZoomAccountId::new),
            zoom_user_id: user.map(ZoomUserId::new),
            traceparent,
            attempts,
        },
    ))
}

macro_rules! pending {
    ($id:expr) => {
        inbox::table
            .filter(inbox::id.eq($id.as_uuid()))
            .filter(inbox::status.eq(PENDING))
    };
}

/// Ends a row whose handlers have taken it.
pub(crate) async fn dispatched(conn: &mut Conn, id: InboxId, now: Timestamp) -> Result<(), StoreError> {
    let rows = diesel::update(pending!(id))
        .set((
            inbox::status.eq(DISPATCHED),
            inbox::finished_at.eq(now),
            inbox::reason.eq(None::<String>),
        ))
        .execute(conn)
        .await?;
    one_row("end a row of the inbox", rows)
}

/// Puts a row into quarantine after this many failed attempts.
pub(crate) async fn quarantine(
    conn: &mut Conn,
    id: InboxId,
    reason: QuarantineReason,
    attempts: i16,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = diesel::update(pending!(id))
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

/// Puts a failed row off.
pub(crate) async fn postpone(
    conn: &mut Conn,
    id: InboxId,
    reason: QuarantineReason,
    attempts: i16,
    due_at: Timestamp,
) -> Result<(), StoreError> {
    let rows = diesel::update(pending!(id))
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
