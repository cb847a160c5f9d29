//! The real clock and randomness, for callers that hand in none.

use chrono::SubsecRound;
use domicile_kernel::{Clock, Rng, Timestamp};

/// The computer's clock.
pub(super) struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the edge of this workshop crate: here the real clock is built"
    )]
    fn now(&self) -> Timestamp {
        chrono::Utc::now().trunc_subsecs(6)
    }
}

/// The operating system's randomness.
pub(super) struct SystemRng;

impl Rng for SystemRng {
    #[expect(
        clippy::disallowed_methods,
        reason = "the edge of this workshop crate: here real randomness is built"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives randomness");
    }
}
