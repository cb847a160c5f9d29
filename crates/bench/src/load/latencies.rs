//! Latencies with their tails.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::failure::Outcome;

/// What is longer counts as this long.
const LONGEST: Duration = Duration::from_mins(2);
/// Three digits of each value are kept.
const DIGITS: u8 = 3;

/// A histogram of latencies, exact to a thousandth of each value.
#[derive(Clone)]
pub struct Latencies(Histogram<u64>);

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Latencies({})", self.0.len())
    }
}

/// The points of a histogram that are shown, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many answers were timed.
    pub count: u64,
    /// Half were faster.
    pub p50_ms: f64,
    /// All but one in a hundred were faster.
    pub p99_ms: f64,
    /// All but one in a thousand were faster.
    pub p999_ms: f64,
    /// None was slower.
    pub max_ms: f64,
}

impl Latencies {
    /// An empty histogram; it takes some hundred kilobytes, so one a thread is enough.
    pub fn new() -> Outcome<Self> {
        Ok(Self(Histogram::new_with_bounds(1, micros(LONGEST), DIGITS)?))
    }

    /// Adds one latency.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(micros(latency).max(1));
    }

    /// Adds all of another histogram.
    pub fn merge(&mut self, other: &Self) -> Outcome {
        self.0.add(&other.0)?;
        Ok(())
    }

    /// The points that are shown.
    pub fn summary(&self) -> Summary {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        Summary {
            count: self.0.len(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: self.0.max() as f64 / 1000.0,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new().unwrap();
        for value in millis {
            latencies.record(Duration::from_millis(value));
        }
        latencies
    }

    #[test]
    fn merged_histograms_say_what_one_would_have_said() {
        let mut merged = of(1..=500);
        merged.merge(&of(501..=1000)).unwrap();
        assert_eq!(merged.summary(), of(1..=1000).summary());
        let summary = merged.summary();
        assert_eq!(summary.count, 1000);
        assert!((summary.p50_ms - 500.0).abs() < 1.0);
        assert!((summary.p99_ms - 990.0).abs() < 1.0);
        assert!((summary.max_ms - 1000.0).abs() < 1.0);
    }

    #[test]
    fn no_latency_is_left_out_for_being_long_or_short() {
        let mut latencies = of([]);
        latencies.record(Duration::ZERO);
        latencies.record(Duration::from_hours(3));
        let summary = latencies.summary();
        assert_eq!(summary.count, 2);
        assert!(summary.max_ms >= 119_000.0);
    }
}
