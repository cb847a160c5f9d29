//! Time in the simulator: the injected clock plus what the control API moved it by.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{SubsecRound, TimeDelta};
use domicile_kernel::{Clock, Timestamp};

/// The computer's clock, for the binary and for callers that have none of their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the edge of this workshop crate: here the real clock is built"
    )]
    fn now(&self) -> Timestamp {
        chrono::Utc::now().trunc_subsecs(6)
    }
}

/// The injected clock, moved forward by `advance`.
pub(crate) struct MovedClock {
    base: Arc<dyn Clock>,
    ahead: Mutex<TimeDelta>,
}

impl MovedClock {
    pub(crate) fn new(base: Arc<dyn Clock>, ahead: TimeDelta) -> Self {
        Self {
            base,
            ahead: Mutex::new(ahead),
        }
    }

    /// Moves the clock forward and says how far it is ahead of its base now.
    pub(crate) fn advance(&self, by: TimeDelta) -> TimeDelta {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        *ahead += by;
        *ahead
    }

    /// Sets the clock back to its base.
    pub(crate) fn reset(&self) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = TimeDelta::zero();
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        self.base.now() + *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
