//! The queries of the tables `events` and `delivery_attempts`.
//!
//! `sequence` is the order in which events were written, but transactions commit in another one. Two advisory locks, held
//! until the end of the writing transaction, keep readers from being fooled by that:
//!
//! - one for each mailbox, exclusive: its events become visible in the order of their sequence, so none overtakes;
//! - one that names a sequence below the writer's own, shared: whoever lists all mailboxes stops before the lowest one that
//!   is held, so nothing appears later behind a cursor that was given out.

pub(crate) mod desk;

use diesel::dsl::{count_star, exists, max, min, select, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable};
use diesel_async::RunQueryDsl;
use domicile_kernel::{EventId, MailboxId, Subject, Timestamp};
use domicile_store::schema::{delivery_attempts, events};
use domicile_store::{Conn, NewEvent, StoreError, one_row};
use uuid::Uuid;

const PENDING: &str = "pending";
const DELIVERED: &str = "delivered";

/// Tells our advisory locks from others'; the first of two numbers for mailboxes, the upper 16 bits for sequences.
const MAILBOX_LOCKS: i32 = 0x4556_4d42;
const SEQUENCE_LOCKS: i64 = 0x4556;

#[diesel::declare_sql_function]
extern "SQL" {
    #[sql_name = "pg_advisory_xact_lock"]
    fn lock_mailbox(class: Integer, mailbox: Integer);
}

/// An event as its row holds it.
#[derive(Debug)]
pub(crate) struct StoredEvent {
    pub(crate) id: EventId,
    pub(crate) sequence: i64,
    pub(crate) event_type: String,
    pub(crate) version: i16,
    pub(crate) subject: Option<Subject>,
    pub(crate) occurred_at: Timestamp,
    pub(crate) data_sealed: Vec<u8>,
    pub(crate) traceparent: Option<String>,
}

type Row = (
    Uuid,
    i64,
    String,
    i16,
    Option<String>,
    Timestamp,
    Vec<u8>,
    Option<String>,
);
type Columns = (
    events::id,
    events::sequence,
    events::type_,
    events::version,
    events::subject,
    events::occurred_at,
    events::data_sealed,
    events::traceparent,
);
const COLUMNS: Columns = (
    events::id,
    events::sequence,
    events::type_,
    events::version,
    events::subject,
    events::occurred_at,
    events::data_sealed,
    events::traceparent,
);

fn stored_event(row: Row) -> Result<StoredEvent, StoreError> {
    let (id, sequence, event_type, version, subject, occurred_at, data_sealed, traceparent) = row;
    Ok(StoredEvent {
        id: id.into(),
        sequence,
        event_type,
        version,
        subject: subject
            .map(|subject| subject.parse())
            .transpose()
            .map_err(|_| StoreError::Corrupt {
                column: "events.subject",
            })?,
        occurred_at,
        data_sealed,
        traceparent,
    })
}

/// Writes an event after all that were written to its mailbox before.
pub(crate) async fn insert(
    conn: &mut Conn,
    event: &NewEvent,
    traceparent: Option<&str>,
) -> Result<(), StoreError> {
    // Mailboxes that share a number merely wait for each other.
    let [.., a, b, c, d] = *event.mailbox.as_uuid().as_bytes();
    select(lock_mailbox(MAILBOX_LOCKS, i32::from_be_bytes([a, b, c, d])))
        .execute(conn)
        .await?;
    diesel::sql_query(
        "SELECT pg_advisory_xact_lock_shared($1 << 48 | coalesce(pg_sequence_last_value('events_sequence_seq'), 0))",
    )
    .bind::<BigInt, _>(SEQUENCE_LOCKS)
    .execute(conn)
    .await?;
    diesel::insert_into(events::table)
        .values((
            events::id.eq(event.id.as_uuid()),
            events::mailbox.eq(event.mailbox.as_uuid()),
            events::type_.eq(event.event_type),
            events::version.eq(event.version),
            events::subject.eq(event.subject.as_ref().map(Subject::as_str)),
            events::occurred_at.eq(event.occurred_at),
            events::data_sealed.eq(event.data_sealed.as_slice()),
            events::traceparent.eq(traceparent),
            events::status.eq(PENDING),
            events::attempts.eq(0),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct Held {
    #[diesel(sql_type = Nullable<BigInt>)]
    lowest: Option<i64>,
}

/// The sequence up to which every event is either visible to the next query or will never be.
async fn settled_up_to(conn: &mut Conn) -> Result<i64, StoreError> {
    // In this order: who takes a sequence up to `last` has its lock by now, and holds it until its event is visible.
    let last: Option<i64> = select(sql::<Nullable<BigInt>>(
        "pg_sequence_last_value('events_sequence_seq')",
    ))
    .get_result(conn)
    .await?;
    let held: Held = diesel::sql_query(
        "SELECT min((classid::bigint & 65535) << 32 | objid::bigint) AS lowest FROM pg_locks \
         WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = $1 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .bind::<BigInt, _>(SEQUENCE_LOCKS)
    .get_result(conn)
    .await?;
    let last = last.unwrap_or(0);
    Ok(held.lowest.map_or(last, |lowest| lowest.min(last)))
}

/// Events after this sequence, oldest first; with a subject, only those about it.
pub(crate) async fn list(
    conn: &mut Conn,
    after: i64,
    subject: Option<&Subject>,
    limit: i64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let settled = settled_up_to(conn).await?;
    let mut query = events::table
        .select(COLUMNS)
        .filter(events::sequence.gt(after))
        .filter(events::sequence.le(settled))
        .order(events::sequence)
        .limit(limit)
        .into_boxed();
    if let Some(subject) = subject {
        query = query.filter(events::subject.eq(subject.as_str()));
    }
    let rows: Vec<Row> = query.load(conn).await?;
    rows.into_iter().map(stored_event).collect()
}

/// The event with this id.
pub(crate) async fn by_id(conn: &mut Conn, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
    let row: Option<Row> = events::table
        .select(COLUMNS)
        .filter(events::id.eq(id.as_uuid()))
        .first(conn)
        .await
        .optional()?;
    row.map(stored_event).transpose()
}

/// The oldest event of a mailbox that is not delivered.
pub(crate) async fn next_pending(
    conn: &mut Conn,
    mailbox: MailboxId,
) -> Result<Option<StoredEvent>, StoreError> {
    let row: Option<Row> = events::table
        .select(COLUMNS)
        .filter(events::mailbox.eq(mailbox.as_uuid()))
        .filter(events::status.eq(PENDING))
        .order(events::sequence)
        .first(conn)
        .await
        .optional()?;
    row.map(stored_event).transpose()
}

/// Whether a mailbox has undelivered events after this one.
pub(crate) async fn has_pending_after(
    conn: &mut Conn,
    mailbox: MailboxId,
    sequence: i64,
) -> Result<bool, StoreError> {
    Ok(select(exists(
        events::table
            .filter(events::mailbox.eq(mailbox.as_uuid()))
            .filter(events::status.eq(PENDING))
            .filter(events::sequence.gt(sequence)),
    ))
    .get_result(conn)
    .await?)
}

/// One post, and what came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) started_at: Timestamp,
    pub(crate) duration_ms: i32,
    /// The HTTP status, or the class of the failure to get one.
    pub(crate) answer: Result<u16, &'static str>,
}

/// Writes an attempt down and counts it; false if the event was erased meanwhile.
pub(crate) async fn record_attempt(
    conn: &mut Conn,
    id: EventId,
    attempt: &Attempt,
) -> Result<bool, StoreError> {
    let number: Option<i32> = diesel::update(events::table.filter(events::id.eq(id.as_uuid())))
        .set(events::attempts.eq(events::attempts + 1))
        .returning(events::attempts)
        .get_result(conn)
        .await
        .optional()?;
    let Some(number) = number else {
        return Ok(false);
    };
    let status_code = attempt.answer.ok().and_then(|status| i16::try_from(status).ok());
    diesel::insert_into(delivery_attempts::table)
        .values((
            delivery_attempts::event_id.eq(id.as_uuid()),
            delivery_attempts::attempt.eq(number),
            delivery_attempts::started_at.eq(attempt.started_at),
            delivery_attempts::duration_ms.eq(attempt.duration_ms),
            delivery_attempts::status_code.eq(status_code),
            delivery_attempts::error_class.eq(attempt.answer.err()),
        ))
        .execute(conn)
        .await?;
    Ok(true)
}

/// Marks an event as delivered; it is an error if it was before.
pub(crate) async fn mark_delivered(conn: &mut Conn, id: EventId, now: Timestamp) -> Result<(), StoreError> {
    let rows = diesel::update(
        events::table
            .filter(events::id.eq(id.as_uuid()))
            .filter(events::status.eq(PENDING)),
    )
    .set((events::status.eq(DELIVERED), events::delivered_at.eq(now)))
    .execute(conn)
    .await?;
    one_row("mark an event as delivered", rows)
}

/// So many events are erased in one transaction.
pub(crate) const ERASED_AT_ONCE: usize = 500;

/// Deletes up to [`ERASED_AT_ONCE`] events of a mailbox that come before its latest one of this type, and says how many.
pub(crate) async fn erase_before(
    conn: &mut Conn,
    mailbox: MailboxId,
    subject: &Subject,
    last_type: &str,
) -> Result<usize, StoreError> {
    // By the subject, for which there is an index.
    let of_mailbox = || {
        events::table
            .filter(events::subject.eq(subject.as_str()))
            .filter(events::mailbox.eq(mailbox.as_uuid()))
    };
    let last: Option<i64> = of_mailbox()
        .filter(events::type_.eq(last_type))
        .select(max(events::sequence))
        .first(conn)
        .await?;
    let Some(last) = last else {
        return Ok(0);
    };
    let limit = i64::try_from(ERASED_AT_ONCE).unwrap_or(i64::MAX);
    let before: Vec<Uuid> = of_mailbox()
        .filter(events::sequence.lt(last))
        .select(events::id)
        .limit(limit)
        .load(conn)
        .await?;
    Ok(diesel::delete(events::table.filter(events::id.eq_any(before)))
        .execute(conn)
        .await?)
}

/// Deletes an event.
pub(crate) async fn delete(conn: &mut Conn, id: EventId) -> Result<(), StoreError> {
    diesel::delete(events::table.filter(events::id.eq(id.as_uuid())))
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes up to [`ERASED_AT_ONCE`] events that hold what somebody said to the bot, and says how many: those of this mailbox
/// that are about nobody, and those of any mailbox but the link's that are about the subject and were true by then.
pub(crate) async fn erase_said(
    conn: &mut Conn,
    said: MailboxId,
    link: MailboxId,
    subject: &Subject,
    until: Timestamp,
) -> Result<usize, StoreError> {
    let limit = i64::try_from(ERASED_AT_ONCE).unwrap_or(i64::MAX);
    // Each of the two has an index of its own.
    let mut ids: Vec<Uuid> = events::table
        .filter(events::mailbox.eq(said.as_uuid()))
        .filter(events::subject.is_null())
        .select(events::id)
        .limit(limit)
        .load(conn)
        .await?;
    if ids.is_empty() {
        ids = events::table
            .filter(events::subject.eq(subject.as_str()))
            .filter(events::type_.like("bot.%"))
            .filter(events::mailbox.ne(link.as_uuid()))
            .filter(events::occurred_at.le(until))
            .select(events::id)
            .limit(limit)
            .load(conn)
            .await?;
    }
    Ok(diesel::delete(events::table.filter(events::id.eq_any(ids)))
        .execute(conn)
        .await?)
}

/// How many events are not delivered, and when the oldest of them became true.
pub(crate) async fn pending_statistics(conn: &mut Conn) -> Result<(i64, Option<Timestamp>), StoreError> {
    Ok(events::table
        .filter(events::status.eq(PENDING))
        .select((count_star(), min(events::occurred_at)))
        .first(conn)
        .await?)
}
