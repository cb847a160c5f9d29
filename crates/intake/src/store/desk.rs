//! What operators ask of the inbox.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::{InboxId, Timestamp, ZoomAccountId, ZoomUserId};
use domicile_store::schema::{inbox, zoom_sightings};
use domicile_store::{Conn, StoreError};
use domicile_zoom::event::Envelope;
use uuid::Uuid;

use super::{PENDING, QUARANTINED, first_id_of};
use crate::desk::{InboxEntry, Selection, Silence};
use crate::reason::QuarantineReason;

/// A row without its body.
#[derive(Queryable, Selectable)]
#[diesel(table_name = inbox, check_for_backend(Pg))]
struct Row {
    id: Uuid,
    endpoint: String,
    status: String,
    event_type: Option<String>,
    zoom_account_id: Option<String>,
    zoom_user_id: Option<String>,
    zoom_client_id: Option<String>,
    zoom_request_id: Option<String>,
    traceparent: Option<String>,
    event_at: Option<Timestamp>,
    received_at: Timestamp,
    body_size_bytes: i32,
    attempts: i16,
    due_at: Timestamp,
    finished_at: Option<Timestamp>,
    reason: Option<String>,
}

impl From<Row> for InboxEntry {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            endpoint: row.endpoint,
            status: row.status,
            reason: row.reason,
            event_type: row.event_type,
            zoom_account_id: row.zoom_account_id,
            zoom_user_id: row.zoom_user_id,
            zoom_client_id: row.zoom_client_id,
            zoom_request_id: row.zoom_request_id,
            traceparent: row.traceparent,
            event_at: row.event_at,
            received_at: row.received_at,
            body_size_bytes: row.body_size_bytes,
            attempts: row.attempts,
            due_at: row.due_at,
            finished_at: row.finished_at,
        }
    }
}

/// The rows of a selection.
fn selected(selection: &Selection) -> inbox::BoxedQuery<'_, Pg> {
    let mut query = inbox::table.into_boxed();
    if !selection.ids.is_empty() {
        let ids: Vec<Uuid> = selection.ids.iter().map(InboxId::as_uuid).collect();
        query = query.filter(inbox::id.eq_any(ids));
    }
    if let Some(status) = selection.status {
        query = query.filter(inbox::status.eq(status.as_str()));
    }
    if let Some(reason) = selection.reason {
        query = query.filter(inbox::reason.eq(reason.as_str()));
    }
    if let Some(endpoint) = selection.endpoint {
        query = query.filter(inbox::endpoint.eq(endpoint.as_str()));
    }
    if let Some(event_type) = &selection.event_type {
        query = query.filter(inbox::event_type.eq(event_type));
    }
    if let Some(account) = &selection.zoom_account_id {
        query = query.filter(inbox::zoom_account_id.eq(account.as_str()));
    }
    // Ids are in the order of time, so the primary key finds a span of time.
    if let Some(from) = selection.received_from {
        query = query.filter(inbox::id.ge(first_id_of(from)));
    }
    if let Some(before) = selection.received_before {
        query = query.filter(inbox::id.lt(first_id_of(before)));
    }
    query
}

/// The newest rows of a selection.
pub(crate) async fn list(
    conn: &mut Conn,
    selection: &Selection,
    after: Option<InboxId>,
    limit: i64,
) -> Result<Vec<InboxEntry>, StoreError> {
    let rows: Vec<Row> = selected(selection)
        .select(Row::as_select())
        .filter(inbox::id.lt(after.map_or(Uuid::max(), |id| id.as_uuid())))
        .order(inbox::id.desc())
        .limit(limit)
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(InboxEntry::from).collect())
}

/// How many rows of a selection wait for nobody.
pub(crate) async fn count_finished(conn: &mut Conn, selection: &Selection) -> Result<u64, StoreError> {
    let rows: i64 = selected(selection)
        .filter(inbox::status.ne(PENDING))
        .count()
        .get_result(conn)
        .await?;
    Ok(u64::try_from(rows).unwrap_or(0))
}

/// The oldest rows of a selection after this id that wait for nobody, and of each whether it has an event type.
pub(crate) async fn finished(
    conn: &mut Conn,
    selection: &Selection,
    after: Option<InboxId>,
    limit: i64,
) -> Result<Vec<(InboxId, bool)>, StoreError> {
    let rows: Vec<(Uuid, bool)> = selected(selection)
        .select((inbox::id, inbox::event_type.is_not_null()))
        .filter(inbox::status.ne(PENDING))
        .filter(inbox::id.gt(after.map_or(Uuid::nil(), |id| id.as_uuid())))
        .order(inbox::id)
        .limit(limit)
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|(id, named)| (id.into(), named)).collect())
}

/// Lets rows that wait for nobody be dispatched again, as if they were new.
pub(crate) async fn replay(conn: &mut Conn, ids: &[InboxId], now: Timestamp) -> Result<usize, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(InboxId::as_uuid).collect();
    let rows = inbox::table
        .filter(inbox::id.eq_any(ids))
        .filter(inbox::status.ne(PENDING));
    Ok(diesel::update(rows)
        .set((
            inbox::status.eq(PENDING),
            inbox::due_at.eq(now),
            inbox::attempts.eq(0_i16),
            inbox::finished_at.eq(None::<Timestamp>),
            inbox::reason.eq(None::<String>),
        ))
        .execute(conn)
        .await?)
}

/// Fills in what could not be read when the row was kept.
pub(crate) async fn name(conn: &mut Conn, id: InboxId, envelope: &Envelope) -> Result<(), StoreError> {
    diesel::update(inbox::table.filter(inbox::id.eq(id.as_uuid())))
        .set((
            inbox::event_type.eq(&envelope.event),
            inbox::zoom_account_id.eq(envelope.account_id.as_ref().map(ZoomAccountId::as_str)),
            inbox::zoom_user_id.eq(envelope.user_id.as_ref().map(ZoomUserId::as_str)),
            inbox::zoom_client_id.eq(envelope.client_id.as_deref()),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes rows away from their handlers.
pub(crate) async fn set_aside(conn: &mut Conn, ids: &[InboxId], now: Timestamp) -> Result<usize, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(InboxId::as_uuid).collect();
    let rows = inbox::table
        .filter(inbox::id.eq_any(ids))
        .filter(inbox::status.eq(PENDING));
    Ok(diesel::update(rows)
        .set((
            inbox::status.eq(QUARANTINED),
            inbox::finished_at.eq(now),
            inbox::reason.eq(QuarantineReason::Operator.as_str()),
        ))
        .execute(conn)
        .await?)
}

/// When Zoom was last heard of, by endpoint, kind and account.
pub(crate) async fn sightings(conn: &mut Conn) -> Result<Vec<Silence>, StoreError> {
    let rows: Vec<(String, String, String, Timestamp)> = zoom_sightings::table
        .select((
            zoom_sightings::endpoint,
            zoom_sightings::kind,
            zoom_sightings::zoom_account_id,
            zoom_sightings::last_at,
        ))
        .order((
            zoom_sightings::endpoint,
            zoom_sightings::kind,
            zoom_sightings::last_at.desc(),
        ))
        .load(conn)
        .await?;
    let silence = |(endpoint, kind, account, last_at): (String, String, String, Timestamp)| Silence {
        endpoint,
        kind,
        zoom_account_id: Some(account).filter(|account| !account.is_empty()),
        last_at,
    };
    Ok(rows.into_iter().map(silence).collect())
}
