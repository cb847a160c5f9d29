//! When Zoom sends again what was not accepted, with its time compressed.

use std::time::Duration;

/// Zoom's waits of 5, 20 and 60 minutes, as seconds; the times of the tries are 0, 5, 15 and 35.
const WAITS: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
];

/// How often Zoom tries, the first time included. After that it drops the event; the run goes on, and says how many these
/// were.
pub const ZOOMS_TRIES: u32 = 4;

/// How long after this try, counted from 0, the next one comes.
pub fn after_attempt(attempt: u32) -> Duration {
    let index = usize::try_from(attempt)
        .unwrap_or(usize::MAX)
        .min(WAITS.len() - 1);
    WAITS[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_as_zooms_do_and_then_stay() {
        let waits: Vec<u64> = (0..6).map(|attempt| after_attempt(attempt).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 20, 20, 20]);
        assert_eq!(after_attempt(u32::MAX), Duration::from_secs(20));
    }
}
