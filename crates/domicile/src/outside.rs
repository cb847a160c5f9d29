//! The real clock and the real randomness (INV-9). Nothing below the roof builds them.

use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use chrono::{DurationRound, TimeDelta, Utc};
use domicile_kernel::{Clock, Ids, Rng, Timestamp};

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the roof builds the real clock")]
    fn now(&self) -> Timestamp {
        let now = Utc::now();
        // PostgreSQL keeps microseconds; a time that is read back must equal the one that was written.
        now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
    }
}

/// The operating system's randomness, through the cryptography library.
pub struct SystemRng(SystemRandom);

impl SystemRng {
    /// The process's source.
    #[expect(clippy::disallowed_methods, reason = "the roof builds the real randomness")]
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Default for SystemRng {
    fn default() -> Self {
        Self::new()
    }
}

impl Rng for SystemRng {
    // A process without randomness must not go on making tokens.
    fn fill(&self, bytes: &mut [u8]) {
        assert!(
            self.0.fill(bytes).is_ok(),
            "the operating system gives no randomness"
        );
    }
}

/// Real ids.
pub fn ids() -> Ids {
    Ids::new(Arc::new(SystemClock), Arc::new(SystemRng::new()))
}
