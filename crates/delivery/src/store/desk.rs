//! What operators ask of `events` and `delivery_attempts`.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::{EventId, MailboxId, Subject, Timestamp};
use domicile_store::schema::{delivery_attempts, events};
use domicile_store::{Conn, StoreError};
use uuid::Uuid;

use super::{DELIVERED, PENDING};
use crate::desk::{AttemptEntry, EventEntry, EventSelection};

type Row = (
    Uuid,
    i64,
    Uuid,
    String,
    Option<String>,
    Timestamp,
    String,
    i32,
    Option<Timestamp>,
);

type AttemptRow = (i32, Timestamp, i32, Option<i16>, Option<String>);

fn selected(selection: &EventSelection) -> events::BoxedQuery<'static, diesel::pg::Pg> {
    let mut query = events::table.into_boxed();
    if !selection.ids.is_empty() {
        let ids: Vec<Uuid> = selection.ids.iter().map(EventId::as_uuid).collect();
        query = query.filter(events::id.eq_any(ids));
    }
    if let Some(delivered) = selection.delivered {
        query = query.filter(events::status.eq(if delivered { DELIVERED } else { PENDING }));
    }
    if let Some(subject) = selection.subject.as_ref().map(Subject::as_str) {
        query = query.filter(events::subject.eq(subject.to_owned()));
    }
    if let Some(mailbox) = selection.mailbox {
        query = query.filter(events::mailbox.eq(mailbox.as_uuid()));
    }
    if let Some(event_type) = &selection.event_type {
        query = query.filter(events::type_.eq(event_type.clone()));
    }
    if let Some(from) = selection.from {
        query = query.filter(events::occurred_at.ge(from));
    }
    if let Some(before) = selection.before {
        query = query.filter(events::occurred_at.lt(before));
    }
    query
}

/// The newest events of a selection below this sequence.
pub(crate) async fn list(
    conn: &mut Conn,
    selection: &EventSelection,
    below: Option<i64>,
    limit: i64,
) -> Result<Vec<EventEntry>, StoreError> {
    let mut query = selected(selection);
    if let Some(below) = below {
        query = query.filter(events::sequence.lt(below));
    }
    let rows: Vec<Row> = query
        .select((
            events::id,
            events::sequence,
            events::mailbox,
            events::type_,
            events::subject,
            events::occurred_at,
            events::status,
            events::attempts,
            events::delivered_at,
        ))
        .order(events::sequence.desc())
        .limit(limit)
        .load(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(
            |(id, sequence, mailbox, event_type, subject, occurred_at, status, attempts, delivered_at)| {
                EventEntry {
                    id: id.into(),
                    sequence,
                    mailbox: mailbox.into(),
                    event_type,
                    subject,
                    occurred_at,
                    status,
                    attempts,
                    delivered_at,
                }
            },
        )
        .collect())
}

pub(crate) async fn count(conn: &mut Conn, selection: &EventSelection) -> Result<i64, StoreError> {
    Ok(selected(selection).count().get_result(conn).await?)
}

/// The posts of an event, the last first.
pub(crate) async fn attempts(conn: &mut Conn, id: EventId) -> Result<Vec<AttemptEntry>, StoreError> {
    let rows: Vec<AttemptRow> = delivery_attempts::table
        .filter(delivery_attempts::event_id.eq(id.as_uuid()))
        .select((
            delivery_attempts::attempt,
            delivery_attempts::started_at,
            delivery_attempts::duration_ms,
            delivery_attempts::status_code,
            delivery_attempts::error_class,
        ))
        .order(delivery_attempts::attempt.desc())
        .load(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(
            |(attempt, started_at, duration_ms, status_code, error_class)| AttemptEntry {
                attempt,
                started_at,
                duration_ms,
                status_code,
                error_class,
            },
        )
        .collect())
}

/// Makes up to `limit` events of a selection after this sequence wait for delivery, and gives of each its sequence,
/// mailbox and type.
pub(crate) async fn again(
    conn: &mut Conn,
    selection: &EventSelection,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, MailboxId, String)>, StoreError> {
    let rows: Vec<(Uuid, i64, Uuid, String)> = selected(selection)
        .filter(events::sequence.gt(after))
        .select((events::id, events::sequence, events::mailbox, events::type_))
        .order(events::sequence)
        .limit(limit)
        .load(conn)
        .await?;
    let ids: Vec<Uuid> = rows.iter().map(|(id, ..)| *id).collect();
    diesel::update(events::table.filter(events::id.eq_any(ids)))
        .set((
            events::status.eq(PENDING),
            events::delivered_at.eq(None::<Timestamp>),
        ))
        .execute(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(_, sequence, mailbox, event_type)| (sequence, mailbox.into(), event_type))
        .collect())
}
