//! When each request of an open loop is due.

use std::time::Duration;

/// A fixed rate: the schedule does not wait for answers, so a slow server cannot hide its slowness from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    rate: f64,
    total: u64,
}

impl Schedule {
    /// So many requests a second for so long.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of requests, far below what a u64 holds"
    )]
    pub fn new(rate: f64, duration: Duration) -> Self {
        let rate = rate.max(f64::MIN_POSITIVE);
        Self {
            rate,
            total: (rate * duration.as_secs_f64()).round() as u64,
        }
    }

    /// How many requests there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// When this one is due, after the start. It is computed from the number, so that rounding never adds up.
    pub fn due(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_evenly_spaced_and_never_drift() {
        let schedule = Schedule::new(3_000.0, Duration::from_mins(5));
        assert_eq!(schedule.total(), 900_000);
        assert_eq!(schedule.due(0), Duration::ZERO);
        assert_eq!(schedule.due(3_000), Duration::from_secs(1));
        assert_eq!(schedule.due(900_000), Duration::from_mins(5));
        let gap = schedule.due(700_001).saturating_sub(schedule.due(700_000));
        assert!(
            gap > Duration::from_micros(333) && gap < Duration::from_micros(334),
            "{gap:?}"
        );
    }

    #[test]
    fn a_rate_below_one_a_second_is_kept_too() {
        let schedule = Schedule::new(0.5, Duration::from_secs(10));
        assert_eq!(schedule.total(), 5);
        assert_eq!(schedule.due(4), Duration::from_secs(8));
    }
}
