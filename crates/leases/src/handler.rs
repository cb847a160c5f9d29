//! What a room brings to the engine.

use std::time::Duration;

use async_trait::async_trait;
use domicile_store::{Conn, StoreError};

use crate::backoff::Backoff;
use crate::error::JobError;
use crate::lease::{Finished, Lease};

/// The name of a kind of job, such as `recording.fetch`. It is stored, so it never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobKind(pub &'static str);

/// How jobs of one kind are run.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How many of them one process runs at once.
    pub concurrency: usize,
    /// How many jobs of one lane one process runs at once; nothing: lanes do not matter to this kind.
    pub lane_concurrency: Option<usize>,
    /// How long a lease lasts without a heartbeat.
    pub lease: Duration,
    /// The longest that one attempt may take.
    pub timeout: Duration,
    /// When failures are tried again.
    pub backoff: Backoff,
    /// After this many attempts the job is quarantined.
    pub max_attempts: u32,
}

/// Runs the jobs of one kind.
#[async_trait]
pub trait Handler: Send + Sync {
    /// The kind that it runs.
    fn kind(&self) -> JobKind;

    /// How they are run.
    fn policy(&self) -> Policy;

    /// Runs one job. It reads what it needs by the lease's key, does the work with no transaction open, and ends the job
    /// with [`Lease::finish`] in the transaction that commits the effect.
    async fn run(&self, lease: &Lease) -> Result<Finished, JobError>;

    /// Called in the transaction that quarantines a job, so that the room's own rows say so too.
    async fn quarantined(
        &self,
        conn: &mut Conn,
        lease: &Lease,
        class: &'static str,
    ) -> Result<(), StoreError> {
        let _ = (conn, lease, class);
        Ok(())
    }
}
