//! The queries of the `inbox` table.

use diesel::dsl::{count_star, min};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::{AsyncConnection, RunQueryDsl, TransactionManager};
use domicile_kernel::{InboxId, Timestamp, ZoomAccountId, ZoomUserId};
use domicile_store::schema::inbox;
use domicile_store::{Conn, StoreError, one_row};
use uuid::Uuid;

use crate::dispatch::NOTIFY_CHANNEL;
use crate::reason::QuarantineReason;
use crate::writer::{Kept, NewRow};

const PENDING: &str = "pending";
const DISPATCHED: &str = "dispatched";
const QUARANTINED: &str = "quarantined";

#[diesel::declare_sql_function]
extern "SQL" {
    fn pg_notify(channel: Text, payload: Text);
}

/// Keeps a row, unless its body was kept before at the same endpoint. A body that another transaction is keeping right
/// now is waited for, so a duplicate is answered only after the first one is committed.
pub(crate) async fn insert(conn: &mut Conn, row: &NewRow) -> Result<Kept, StoreError> {
    let quarantined = row.quarantined.map(QuarantineReason::as_str);
    let rows = diesel::insert_into(inbox::table)
        .values((
            inbox::id.eq(row.id.as_uuid()),
            inbox::endpoint.eq(row.endpoint.as_str()),
            inbox::digest.eq(row.digest.as_slice()),
            inbox::status.eq(if quarantined.is_some() {
                QUARANTINED
            } else {
                PENDING
            }),
            inbox::event_type.eq(row.event_type.as_deref()),
            inbox::zoom_account_id.eq(row.zoom_account_id.as_ref().map(ZoomAccountId::as_str)),
            inbox::zoom_user_id.eq(row.zoom_user_id.as_ref().map(ZoomUserId::as_str)),
            inbox::zoom_client_id.eq(row.zoom_client_id.as_deref()),
            inbox::zoom_request_id.eq(row.zoom_request_id.as_deref()),
            inbox::traceparent.eq(row.traceparent.as_deref()),
            inbox::event_at.eq(row.event_at),
            inbox::received_at.eq(row.received_at),
            inbox::body_sealed.eq(row.body_sealed.as_slice()),
            inbox::body_size_bytes.eq(row.body_size_bytes),
            inbox::attempts.eq(0_i16),
            inbox::due_at.eq(row.received_at),
            inbox::finished_at.eq(quarantined.map(|_| row.received_at)),
            inbox::reason.eq(quarantined),
        ))
        .on_conflict((inbox::endpoint, inbox::digest))
        .do_nothing()
        .execute(conn)
        .await?;
    if rows == 0 {
        return Ok(Kept::Duplicate);
    }
    if quarantined.is_none() {
        diesel::select(pg_notify(NOTIFY_CHANNEL, ""))
            .execute(conn)
            .await?;
    }
    Ok(Kept::New)
}

/// The sealed body of a row.
pub(crate) async fn body_sealed(conn: &mut Conn, id: InboxId) -> Result<Vec<u8>, StoreError> {
    Ok(inbox::table
        .select(inbox::body_sealed)
        .filter(inbox::id.eq(id.as_uuid()))
        .first(conn)
        .await?)
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
