//! Real time and real waiting: a load generator has nobody who could hand them in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
