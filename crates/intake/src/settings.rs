//! What the roof may choose.

use std::time::Duration;

use domicile_leases::Backoff;

/// How requests are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakeSettings {
    /// A row that is not committed within this is answered with 503: Zoom waits 3 seconds and no longer.
    pub commit_timeout: Duration,
    /// What the 503 says in `Retry-After`. Zoom keeps to its own schedule (5, 20 and 60 minutes); others obey it.
    pub retry_after: Duration,
    /// How rows are written.
    pub writer: WriterSettings,
}

/// How rows are written, and how many may wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterSettings {
    /// The most commits that are under way at one time, each on a connection of its own; at least one.
    pub max_commits: usize,
    /// The most rows of one commit.
    pub max_batch_rows: usize,
    /// The most bytes of one commit, but at least one row.
    pub max_batch_bytes: usize,
    /// Requests that wait beyond this number are answered with 503 at once.
    pub max_queued_requests: usize,
    /// Requests whose sealed bodies are more than this in all are answered with 503 at once.
    pub max_queued_bytes: usize,
    /// A commit that is not confirmed within this counts as failed, and the connection as broken.
    pub commit_timeout: Duration,
    /// A batch whose connection broke within this is written once more over another one.
    pub retry_within: Duration,
}

impl Default for WriterSettings {
    fn default() -> Self {
        Self {
            max_commits: 4,
            max_batch_rows: 256,
            max_batch_bytes: 4 * 1024 * 1024,
            max_queued_requests: 4096,
            max_queued_bytes: 64 * 1024 * 1024,
            commit_timeout: Duration::from_millis(2500),
            retry_within: Duration::from_millis(500),
        }
    }
}

impl Default for IntakeSettings {
    fn default() -> Self {
        Self {
            commit_timeout: Duration::from_millis(2500),
            retry_after: Duration::from_mins(1),
            writer: WriterSettings::default(),
        }
    }
}

/// How rows are dispatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DispatchSettings {
    /// How many rows one process dispatches at once, each on a connection of the pool.
    pub concurrency: usize,
    /// How many rows share one transaction. PostgreSQL remembers 64 savepoints of one cheaply.
    pub batch_rows: i64,
    /// When a row whose handler failed is tried again.
    pub backoff: Backoff,
    /// After this many failures it is quarantined.
    pub max_attempts: i16,
    /// How long rows are kept.
    pub retention: Retention,
}

/// How long rows of the inbox are kept. What waits for its handlers is kept until they have taken it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Rows that were dispatched. A row is also what tells a duplicate, so this outlives Zoom's last retry (85 minutes) and what an
    /// incident may delay; at least seven days.
    pub dispatched: Duration,
    /// Rows in quarantine.
    pub quarantined: Duration,
}

impl Retention {
    /// The least time for which a duplicate is known as one.
    pub const MIN: Duration = Duration::from_hours(7 * 24);
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            dispatched: Self::MIN,
            quarantined: Duration::from_hours(30 * 24),
        }
    }
}

impl Default for DispatchSettings {
    fn default() -> Self {
        Self {
            concurrency: 4,
            batch_rows: 32,
            backoff: Backoff {
                first: Duration::from_secs(5),
                longest: Duration::from_mins(30),
            },
            max_attempts: 10,
            retention: Retention::default(),
        }
    }
}
