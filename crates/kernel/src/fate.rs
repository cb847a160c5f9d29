//! Whether a failed operation may be tried again.

use std::time::Duration;

/// What an error says of the next attempt. Each crate's error enum answers with one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The same call may succeed later.
    Retry {
        /// The least time to wait before it, where the other side named one (`Retry-After`).
        after: Option<Duration>,
    },
    /// The same call can never succeed.
    Final,
}

impl Fate {
    /// Another try, whenever the schedule says.
    pub const RETRY: Self = Self::Retry { after: None };

    /// True for every kind of [`Fate::Retry`].
    pub fn is_retry(self) -> bool {
        matches!(self, Self::Retry { .. })
    }
}
