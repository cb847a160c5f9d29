use super::text_state;

/// The state of a job. A finished job has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobStatus {
    /// Waits for its due time.
    Queued,
    /// A worker holds its lease.
    Leased,
    /// Spent its attempts or failed for good; an operator may redrive it.
    Quarantined,
}

text_state!(JobStatus { Queued = "queued", Leased = "leased", Quarantined = "quarantined" });
