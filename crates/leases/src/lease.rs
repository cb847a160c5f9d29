//! The right to run a job, as a value.

use domicile_kernel::{JobId, LeaseToken, Timestamp};
use domicile_store::Conn;

use crate::error::LeaseError;
use crate::store;

/// A job that this worker may run until the lease expires. Its heartbeat is the engine's business.
pub struct Lease {
    pub(crate) job_id: JobId,
    pub(crate) kind: &'static str,
    pub(crate) key: String,
    pub(crate) token: LeaseToken,
    pub(crate) attempt: u32,
    pub(crate) lane: Option<String>,
    pub(crate) traceparent: Option<String>,
}

/// Proof that a job was ended by the holder of its lease. Only [`Lease::finish`] and [`Lease::finish_and_requeue`] make one.
#[derive(Debug)]
pub struct Finished(());

impl Lease {
    /// The job's id, for logs.
    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// What the job is about.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Which attempt this is, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The trace that asked for the job, as a W3C `traceparent`.
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// Ends the job, as part of the transaction that commits its effect. If the job was asked for again meanwhile, it is
    /// queued once more. Fails when the lease was lost, and then the transaction must not commit (INV-5).
    pub async fn finish(&self, conn: &mut Conn, now: Timestamp) -> Result<Finished, LeaseError> {
        store::finish(conn, self, now).await.map(Finished)
    }

    /// Fails with [`LeaseError::Lost`] unless the lease is held, and holds the job's row until the caller's transaction ends:
    /// for a run that commits a step and goes on.
    pub async fn check(&self, conn: &mut Conn) -> Result<(), LeaseError> {
        store::check(conn, self).await
    }

    /// Ends this attempt well and queues the job again for a later time, with its attempts forgotten.
    pub async fn finish_and_requeue(
        &self,
        conn: &mut Conn,
        now: Timestamp,
        due_at: Timestamp,
    ) -> Result<Finished, LeaseError> {
        store::requeue(conn, self, now, due_at).await.map(Finished)
    }
}
