//! The port through which time is handed in (INV-9).

use chrono::{DateTime, Utc};

/// A point in time, always UTC.
pub type Timestamp = DateTime<Utc>;

/// Tells the time. The roof builds the real one; tests hand in one that they move.
pub trait Clock: Send + Sync {
    /// The time now, cut to the microseconds that PostgreSQL keeps.
    fn now(&self) -> Timestamp;
}
