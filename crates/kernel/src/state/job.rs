use super::text_state;

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobStatus {
    /// Waits for its due time.
    Queued,
    /// A worker holds its lease.
    Leased,
    /// Finished.
    Done,
    /// Spent its attempts or failed for good; an operator may redrive it.
    Quarantined,
}

text_state!(JobStatus { Queued = "queued", Leased = "leased", Done = "done", Quarantined = "quarantined" });
