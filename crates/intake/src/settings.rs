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
}

impl Default for IntakeSettings {
    fn default() -> Self {
        Self {
            commit_timeout: Duration::from_millis(2500),
            retry_after: Duration::from_mins(1),
        }
    }
}

/// How rows are dispatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DispatchSettings {
    /// How many rows one process dispatches at once, each on a connection of the pool.
    pub concurrency: usize,
    /// When a row whose handler failed is tried again.
    pub backoff: Backoff,
    /// After this many failures it is quarantined.
    pub max_attempts: i16,
}

impl Default for DispatchSettings {
    fn default() -> Self {
        Self {
            concurrency: 4,
            backoff: Backoff {
                first: Duration::from_secs(5),
                longest: Duration::from_mins(30),
            },
            max_attempts: 10,
        }
    }
}
