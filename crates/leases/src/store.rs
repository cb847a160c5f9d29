//! The queries of the `jobs` table.

pub mod desk;
mod lanes;

use std::time::Duration;

use chrono::TimeDelta;
use diesel::dsl::{count_star, min};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text, Timestamptz};
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use domicile_kernel::state::{JobStatus, TextState};
use domicile_kernel::{Ids, JobId, LeaseToken, Timestamp, WorkerId};
use domicile_store::schema::jobs;
use domicile_store::{Conn, StoreError, wake};
use uuid::Uuid;

use crate::error::LeaseError;
use crate::handler::JobKind;
use crate::lanes::Room;
use crate::lease::Lease;

/// The channel on which new jobs are announced; the payload is the kind.
pub const NOTIFY_CHANNEL: &str = "domicile_jobs";

const QUEUED: &str = "queued";
const LEASED: &str = "leased";
const QUARANTINED: &str = "quarantined";

/// A wish for background work.
#[derive(Debug, Clone)]
pub struct NewJob<'a> {
    /// Which handler runs it.
    pub kind: JobKind,
    /// What it is about; one unfinished job for each kind and key.
    pub key: &'a str,
    /// Whose trouble it shares, such as a Zoom account's; see [`Policy::lane_concurrency`](crate::Policy).
    pub lane: Option<&'a str>,
    /// Not run before this.
    pub due_at: Timestamp,
    /// The trace that asks for it.
    pub traceparent: Option<&'a str>,
}

/// Asks for a job, in the caller's transaction. A job that is queued already is moved ahead if it was to run later, one
/// that runs will run once more, and one in quarantine starts afresh. A job that failed keeps its backoff.
pub async fn enqueue(conn: &mut Conn, ids: &Ids, job: NewJob<'_>) -> Result<(), StoreError> {
    let now = ids.clock().now();
    let id: JobId = ids.make();
    let was = |status: &'static str| jobs::status.eq(status);
    let revive = diesel::dsl::case_when(was(QUARANTINED), QUEUED.into_sql::<Text>()).otherwise(jobs::status);
    let attempts = diesel::dsl::case_when(was(QUARANTINED), 0.into_sql::<diesel::sql_types::Integer>())
        .otherwise(jobs::attempts);
    // Sooner is sooner, but a job that failed keeps its backoff.
    let due_at = diesel::dsl::case_when(was(QUARANTINED), excluded(jobs::due_at))
        .when(
            was(QUEUED).and(jobs::attempts.eq(0)),
            least(jobs::due_at, excluded(jobs::due_at)),
        )
        .otherwise(jobs::due_at);
    let again = diesel::dsl::case_when(was(LEASED), true.into_sql::<Bool>()).otherwise(jobs::again);
    diesel::insert_into(jobs::table)
        .values((
            jobs::id.eq(id.as_uuid()),
            jobs::kind.eq(job.kind.0),
            jobs::key.eq(job.key),
            jobs::lane.eq(job.lane),
            jobs::status.eq(QUEUED),
            jobs::again.eq(false),
            jobs::attempts.eq(0),
            jobs::due_at.eq(job.due_at),
            jobs::traceparent.eq(job.traceparent),
            jobs::created_at.eq(now),
            jobs::updated_at.eq(now),
        ))
        .on_conflict((jobs::kind, jobs::key))
        .do_update()
        .set((
            jobs::status.eq(revive),
            jobs::attempts.eq(attempts),
            jobs::due_at.eq(due_at),
            jobs::again.eq(again),
            jobs::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    // What is due later wakes nobody now.
    if job.due_at <= now {
        wake(conn, NOTIFY_CHANNEL, job.kind.0).await?;
    }
    Ok(())
}

#[diesel::declare_sql_function]
extern "SQL" {
    fn least(first: Timestamptz, second: Timestamptz) -> Timestamptz;
}

/// Gives every job whose lease ran out back to the queue.
pub(crate) async fn reclaim_expired(
    conn: &mut Conn,
    kind: JobKind,
    now: Timestamp,
) -> Result<usize, StoreError> {
    Ok(diesel::update(
        jobs::table
            .filter(jobs::kind.eq(kind.0))
            .filter(jobs::status.eq(LEASED))
            .filter(jobs::lease_expires_at.le(now)),
    )
    .set((
        jobs::status.eq(QUEUED),
        jobs::again.eq(false),
        jobs::due_at.eq(now),
        NO_LEASE(),
        jobs::last_error_class.eq("lease_expired"),
        jobs::updated_at.eq(now),
    ))
    .execute(conn)
    .await?)
}

type NoLease = (
    diesel::dsl::Eq<jobs::lease_owner, Option<Uuid>>,
    diesel::dsl::Eq<jobs::lease_token, Option<Uuid>>,
    diesel::dsl::Eq<jobs::lease_expires_at, Option<Timestamp>>,
);

#[expect(
    non_snake_case,
    reason = "it stands for a constant that diesel's types do not allow"
)]
fn NO_LEASE() -> NoLease {
    (
        jobs::lease_owner.eq(None::<Uuid>),
        jobs::lease_token.eq(None::<Uuid>),
        jobs::lease_expires_at.eq(None::<Timestamp>),
    )
}

/// Who takes leases, and for how long.
pub(crate) struct Taker {
    pub(crate) worker: WorkerId,
    pub(crate) token: LeaseToken,
    pub(crate) lease: Duration,
    /// Where lanes matter to the kind, how much of each is taken.
    pub(crate) room: Option<Room>,
}

/// Locks up to `limit` due jobs, oldest due first, passing over those that others are taking.
async fn due(conn: &mut Conn, kind: JobKind, limit: i64, now: Timestamp) -> Result<Vec<Uuid>, StoreError> {
    Ok(jobs::table
        .select(jobs::id)
        .filter(jobs::kind.eq(kind.0))
        .filter(jobs::status.eq(QUEUED))
        .filter(jobs::due_at.le(now))
        .order(jobs::due_at)
        .limit(limit)
        .for_update()
        .skip_locked()
        .load(conn)
        .await?)
}

/// Id, key, attempts, lane and trace.
type LeasedRow = (Uuid, String, i32, Option<String>, Option<String>);

/// Leases up to `limit` due jobs.
pub(crate) async fn acquire(
    conn: &mut Conn,
    kind: JobKind,
    limit: i64,
    now: Timestamp,
    taker: &Taker,
) -> Result<Vec<Lease>, StoreError> {
    let due = match &taker.room {
        Some(room) => lanes::due(conn, kind, limit, now, room).await?,
        None => due(conn, kind, limit, now).await?,
    };
    if due.is_empty() {
        return Ok(Vec::new());
    }
    // A lease that a crash of the server forgets was never held: whoever works under it cannot finish. So nobody waits for
    // the disk to take one.
    diesel::sql_query("SET LOCAL synchronous_commit TO off")
        .execute(conn)
        .await?;
    let rows: Vec<LeasedRow> = diesel::update(jobs::table.filter(jobs::id.eq_any(due)))
        .set((
            jobs::status.eq(LEASED),
            jobs::attempts.eq(jobs::attempts + 1),
            jobs::lease_owner.eq(taker.worker.as_uuid()),
            jobs::lease_token.eq(taker.token.as_uuid()),
            jobs::lease_expires_at.eq(expiry(now, taker.lease)),
            jobs::updated_at.eq(now),
        ))
        .returning((jobs::id, jobs::key, jobs::attempts, jobs::lane, jobs::traceparent))
        .get_results(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, key, attempt, lane, traceparent)| Lease {
            job_id: id.into(),
            kind: kind.0,
            key,
            token: taker.token,
            attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
            lane,
            traceparent,
        })
        .collect())
}

fn expiry(now: Timestamp, lease: Duration) -> Timestamp {
    now + TimeDelta::from_std(lease).unwrap_or(TimeDelta::MAX)
}

macro_rules! held {
    ($lease:expr) => {
        jobs::table
            .filter(jobs::id.eq($lease.job_id.as_uuid()))
            .filter(jobs::status.eq(LEASED))
            .filter(jobs::lease_token.eq($lease.token.as_uuid()))
    };
}

/// Moves the expiry of a lease that is still held.
pub(crate) async fn heartbeat(
    conn: &mut Conn,
    lease: &Lease,
    now: Timestamp,
    length: Duration,
) -> Result<(), LeaseError> {
    let rows = diesel::update(held!(lease))
        .set(jobs::lease_expires_at.eq(expiry(now, length)))
        .execute(conn)
        .await
        .map_err(StoreError::from)?;
    kept(rows)
}

/// Locks the job's row, if the lease is held.
pub(crate) async fn check(conn: &mut Conn, lease: &Lease) -> Result<(), LeaseError> {
    let held: Option<Uuid> = held!(lease)
        .select(jobs::id)
        .for_update()
        .first(conn)
        .await
        .optional()
        .map_err(StoreError::from)?;
    held.map(drop).ok_or(LeaseError::Lost)
}

pub(crate) async fn finish(conn: &mut Conn, lease: &Lease, now: Timestamp) -> Result<(), LeaseError> {
    let rows = diesel::delete(held!(lease).filter(jobs::again.eq(false)))
        .execute(conn)
        .await
        .map_err(StoreError::from)?;
    if rows == 1 {
        Ok(())
    } else {
        requeue(conn, lease, now, now).await
    }
}

pub(crate) async fn requeue(
    conn: &mut Conn,
    lease: &Lease,
    now: Timestamp,
    due_at: Timestamp,
) -> Result<(), LeaseError> {
    let rows = diesel::update(held!(lease))
        .set((
            jobs::status.eq(QUEUED),
            jobs::again.eq(false),
            jobs::attempts.eq(0),
            jobs::due_at.eq(due_at),
            NO_LEASE(),
            jobs::last_error_class.eq(None::<String>),
            jobs::updated_at.eq(now),
        ))
        .execute(conn)
        .await
        .map_err(StoreError::from)?;
    kept(rows)?;
    // What is due later wakes nobody now.
    if due_at <= now {
        wake(conn, NOTIFY_CHANNEL, lease.kind).await?;
    }
    Ok(())
}

/// Gives a job back unharmed: the attempt does not count.
pub(crate) async fn release(conn: &mut Conn, lease: &Lease, now: Timestamp) -> Result<(), LeaseError> {
    let rows = diesel::update(held!(lease))
        .set((
            jobs::status.eq(QUEUED),
            jobs::again.eq(false),
            jobs::attempts.eq(jobs::attempts - 1),
            jobs::due_at.eq(now),
            NO_LEASE(),
            jobs::updated_at.eq(now),
        ))
        .execute(conn)
        .await
        .map_err(StoreError::from)?;
    kept(rows)
}

/// Queues a failed job for a later attempt.
pub(crate) async fn retry(
    conn: &mut Conn,
    lease: &Lease,
    class: &str,
    now: Timestamp,
    due_at: Timestamp,
) -> Result<(), LeaseError> {
    let rows = diesel::update(held!(lease))
        .set((
            jobs::status.eq(QUEUED),
            jobs::again.eq(false),
            jobs::due_at.eq(due_at),
            NO_LEASE(),
            jobs::last_error_class.eq(class),
            jobs::updated_at.eq(now),
        ))
        .execute(conn)
        .await
        .map_err(StoreError::from)?;
    kept(rows)
}

/// Puts a job into quarantine.
pub(crate) async fn quarantine(
    conn: &mut Conn,
    lease: &Lease,
    class: &str,
    now: Timestamp,
) -> Result<(), LeaseError> {
    let rows = diesel::update(held!(lease))
        .set((
            jobs::status.eq(QUARANTINED),
            jobs::again.eq(false),
            NO_LEASE(),
            jobs::last_error_class.eq(class),
            jobs::updated_at.eq(now),
        ))
        .execute(conn)
        .await
        .map_err(StoreError::from)?;
    kept(rows)
}

fn kept(rows: usize) -> Result<(), LeaseError> {
    if rows == 1 { Ok(()) } else { Err(LeaseError::Lost) }
}

/// Takes a job away, whatever its state, in the caller's transaction, and says whether there was one. Who holds its lease has
/// lost it: the attempt cannot finish, and ends with its next heartbeat.
pub async fn cancel(conn: &mut Conn, kind: JobKind, key: &str) -> Result<bool, StoreError> {
    let rows = diesel::delete(
        jobs::table
            .filter(jobs::kind.eq(kind.0))
            .filter(jobs::key.eq(key)),
    )
    .execute(conn)
    .await?;
    Ok(rows > 0)
}

/// Starts quarantined jobs of a kind afresh, all of them or the one with this key, and returns how many.
pub async fn redrive(
    conn: &mut Conn,
    kind: JobKind,
    key: Option<&str>,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let quarantined = jobs::table
        .filter(jobs::kind.eq(kind.0))
        .filter(jobs::status.eq(QUARANTINED));
    let change = (
        jobs::status.eq(QUEUED),
        jobs::attempts.eq(0),
        jobs::due_at.eq(now),
        jobs::updated_at.eq(now),
    );
    let rows = match key {
        Some(key) => {
            diesel::update(quarantined.filter(jobs::key.eq(key)))
                .set(change)
                .execute(conn)
                .await?
        }
        None => diesel::update(quarantined).set(change).execute(conn).await?,
    };
    wake(conn, NOTIFY_CHANNEL, kind.0).await?;
    Ok(rows)
}

/// How many jobs of one kind are in one state, and since when the oldest waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindStatistics {
    /// The kind.
    pub kind: String,
    /// The state.
    pub status: JobStatus,
    /// How many there are.
    pub count: i64,
    /// The earliest due time among them.
    pub oldest_due_at: Option<Timestamp>,
    /// When the oldest of them was asked for.
    pub oldest_created_at: Option<Timestamp>,
}

/// Counts the jobs by kind and state.
pub async fn statistics(conn: &mut Conn) -> Result<Vec<KindStatistics>, StoreError> {
    type Row = (String, String, i64, Option<Timestamp>, Option<Timestamp>);
    let rows: Vec<Row> = jobs::table
        .group_by((jobs::kind, jobs::status))
        .select((
            jobs::kind,
            jobs::status,
            count_star(),
            min(jobs::due_at),
            min(jobs::created_at),
        ))
        .order((jobs::kind, jobs::status))
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|(kind, status, count, oldest_due_at, oldest_created_at)| {
            let status = JobStatus::from_text(&status).map_err(|_| StoreError::Corrupt {
                column: "jobs.status",
            })?;
            Ok(KindStatistics {
                kind,
                status,
                count,
                oldest_due_at,
                oldest_created_at,
            })
        })
        .collect()
}
