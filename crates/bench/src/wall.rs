//! Real time, chance and waiting: a load generator has nobody who could hand them in.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::SubsecRound;
use domicile_kernel::{Clock, Ids, Rng, Timestamp};

/// Milliseconds since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "a load generator lives in the time of the server that it measures"
)]
pub fn unix_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(0))
}

/// Unix seconds, as Zoom signs them.
pub fn unix_seconds() -> i64 {
    i64::try_from(unix_millis() / 1000).unwrap_or(0)
}

/// Lets this thread wait.
#[expect(
    clippy::disallowed_methods,
    reason = "a measurement lasts as long as it lasts, on a thread of its own"
)]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// The machine's clock, for the servers that the service is compared with.
#[derive(Debug, Clone, Copy)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the edge of this workshop crate")]
    fn now(&self) -> Timestamp {
        chrono::Utc::now().trunc_subsecs(6)
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy)]
struct SystemRng;

impl Rng for SystemRng {
    #[expect(clippy::disallowed_methods, reason = "the edge of this workshop crate")]
    #[expect(
        clippy::expect_used,
        reason = "without randomness no id can be made, and there is no one to tell"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives randomness");
    }
}

/// Real ids, made as the service makes them.
pub fn ids() -> Ids {
    Ids::new(Arc::new(SystemClock), Arc::new(SystemRng))
}
