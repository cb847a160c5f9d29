//! Jobs as their operators see them: what waits, what is in quarantine, and what shall be tried again.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::state::{JobStatus, TextState};
use domicile_kernel::{JobId, Timestamp};
use domicile_store::schema::jobs as t;
use domicile_store::{Conn, StoreError, parse_state, wake};
use serde::Serialize;
use uuid::Uuid;

use crate::store::NOTIFY_CHANNEL;

/// Which jobs are meant; every criterion that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct JobSelection {
    /// One of these; none given: any.
    pub ids: Vec<JobId>,
    /// Exactly this kind, such as `recording.fetch`.
    pub kind: Option<String>,
    /// In this state.
    pub status: Option<JobStatus>,
    /// What it is about.
    pub key: Option<String>,
    /// Whose trouble it shares, such as a Zoom account's.
    pub lane: Option<String>,
    /// The class of its last failure.
    pub error_class: Option<String>,
    /// Asked for before this time.
    pub created_before: Option<Timestamp>,
}

/// A job without what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobEntry {
    /// Its id.
    pub id: JobId,
    /// Which handler runs it.
    pub kind: String,
    /// What it is about: ids alone.
    pub key: String,
    /// Whose trouble it shares.
    pub lane: Option<String>,
    /// Its state.
    pub status: JobStatus,
    /// How often it was tried since it last succeeded.
    pub attempts: i32,
    /// Not tried before this.
    pub due_at: Timestamp,
    /// Until when a worker holds it.
    pub lease_expires_at: Option<Timestamp>,
    /// The class of its last failure.
    pub last_error_class: Option<String>,
    /// The trace that asked for it.
    pub traceparent: Option<String>,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// When its state changed last.
    pub updated_at: Timestamp,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = t, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: Uuid,
    kind: String,
    key: String,
    lane: Option<String>,
    status: String,
    attempts: i32,
    due_at: Timestamp,
    lease_expires_at: Option<Timestamp>,
    last_error_class: Option<String>,
    traceparent: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TryFrom<Row> for JobEntry {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            kind: row.kind,
            key: row.key,
            lane: row.lane,
            status: parse_state("jobs.status", &row.status)?,
            attempts: row.attempts,
            due_at: row.due_at,
            lease_expires_at: row.lease_expires_at,
            last_error_class: row.last_error_class,
            traceparent: row.traceparent,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

type Boxed<'a> = t::BoxedQuery<'a, diesel::pg::Pg>;

fn selected(selection: &JobSelection) -> Boxed<'static> {
    let mut query = t::table.into_boxed();
    if !selection.ids.is_empty() {
        let ids: Vec<Uuid> = selection.ids.iter().map(JobId::as_uuid).collect();
        query = query.filter(t::id.eq_any(ids));
    }
    if let Some(kind) = &selection.kind {
        query = query.filter(t::kind.eq(kind.clone()));
    }
    if let Some(status) = selection.status {
        query = query.filter(t::status.eq(status.as_str()));
    }
    if let Some(key) = &selection.key {
        query = query.filter(t::key.eq(key.clone()));
    }
    if let Some(lane) = &selection.lane {
        query = query.filter(t::lane.eq(lane.clone()));
    }
    if let Some(class) = &selection.error_class {
        query = query.filter(t::last_error_class.eq(class.clone()));
    }
    if let Some(before) = selection.created_before {
        query = query.filter(t::created_at.lt(before));
    }
    query
}

/// The newest jobs of a selection, at most so many, after the one with this id.
pub async fn list(
    conn: &mut Conn,
    selection: &JobSelection,
    after: Option<JobId>,
    limit: i64,
) -> Result<Vec<JobEntry>, StoreError> {
    let mut query = selected(selection).select(Row::as_select());
    if let Some(after) = after {
        query = query.filter(t::id.lt(after.as_uuid()));
    }
    let rows: Vec<Row> = query.order(t::id.desc()).limit(limit).load(conn).await?;
    rows.into_iter().map(JobEntry::try_from).collect()
}

/// How many jobs a selection has.
pub async fn count(conn: &mut Conn, selection: &JobSelection) -> Result<i64, StoreError> {
    Ok(selected(selection).count().get_result(conn).await?)
}

/// Starts quarantined jobs of a selection afresh, at most so many, and says how many. Whatever the selection says of the
/// state, no other job is touched: one that waits has a backoff, and one that runs has a worker.
pub async fn redrive_selected(
    conn: &mut Conn,
    selection: &JobSelection,
    limit: i64,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let ids: Vec<Uuid> = selected(selection)
        .filter(t::status.eq(JobStatus::Quarantined.as_str()))
        .select(t::id)
        .order(t::id)
        .limit(limit)
        .load(conn)
        .await?;
    let kinds: Vec<String> = diesel::update(
        t::table
            .filter(t::id.eq_any(ids))
            .filter(t::status.eq(JobStatus::Quarantined.as_str())),
    )
    .set((
        t::status.eq(JobStatus::Queued.as_str()),
        t::attempts.eq(0),
        t::due_at.eq(now),
        t::updated_at.eq(now),
    ))
    .returning(t::kind)
    .get_results(conn)
    .await?;
    let count = kinds.len();
    for kind in kinds.into_iter().collect::<std::collections::BTreeSet<_>>() {
        wake(conn, NOTIFY_CHANNEL, &kind).await?;
    }
    Ok(count)
}

/// Lets the job of this kind and key be tried at once, whether it waits or is in quarantine, and says whether it was there.
pub async fn hasten(conn: &mut Conn, kind: &str, key: &str, now: Timestamp) -> Result<bool, StoreError> {
    let waiting = t::table
        .filter(t::kind.eq(kind))
        .filter(t::key.eq(key))
        .filter(t::status.ne(JobStatus::Leased.as_str()));
    let rows = diesel::update(waiting)
        .set((
            t::status.eq(JobStatus::Queued.as_str()),
            t::attempts.eq(0),
            t::due_at.eq(now),
            t::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    wake(conn, NOTIFY_CHANNEL, kind).await?;
    Ok(rows > 0)
}

/// Takes jobs that wait away from their workers, and says how many. What a worker holds is left to it.
pub async fn set_aside(conn: &mut Conn, ids: &[JobId], now: Timestamp) -> Result<usize, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(JobId::as_uuid).collect();
    let waiting = t::table
        .filter(t::id.eq_any(ids))
        .filter(t::status.eq(JobStatus::Queued.as_str()));
    Ok(diesel::update(waiting)
        .set((
            t::status.eq(JobStatus::Quarantined.as_str()),
            t::last_error_class.eq("set_aside"),
            t::updated_at.eq(now),
        ))
        .execute(conn)
        .await?)
}
