//! What was answered.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::connection::Broken;

/// Answers by status, and requests without an answer by what broke them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How often each status came.
    pub statuses: BTreeMap<u16, u64>,
    /// How often no answer came, by reason.
    pub broken: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts one request.
    pub fn count(&mut self, result: Result<u16, Broken>) {
        match result {
            Ok(status) => *self.statuses.entry(status).or_default() += 1,
            Err(broken) => *self.broken.entry(broken.as_str()).or_default() += 1,
        }
    }

    /// Adds all of another tally.
    pub fn merge(&mut self, other: &Self) {
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (reason, count) in &other.broken {
            *self.broken.entry(reason).or_default() += count;
        }
    }

    /// How many answers were 2xx.
    pub fn accepted(&self) -> u64 {
        self.within(200..=299)
    }

    /// How many answers were 5xx.
    pub fn unavailable(&self) -> u64 {
        self.within(500..=599)
    }

    /// How many answers were neither.
    pub fn refused(&self) -> u64 {
        self.within(300..=499)
    }

    /// How many requests had no answer.
    pub fn unanswered(&self) -> u64 {
        self.broken.values().sum()
    }

    /// How many requests there were.
    pub fn total(&self) -> u64 {
        self.statuses.values().sum::<u64>() + self.unanswered()
    }

    /// How many were not accepted.
    pub fn failed(&self) -> u64 {
        self.total() - self.accepted()
    }

    fn within(&self, range: std::ops::RangeInclusive<u16>) -> u64 {
        self.statuses.range(range).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses = self
            .statuses
            .iter()
            .map(|(status, count)| format!("{status}: {count}"));
        let broken = self
            .broken
            .iter()
            .map(|(reason, count)| format!("{reason}: {count}"));
        let all: Vec<_> = statuses.chain(broken).collect();
        f.write_str(&if all.is_empty() {
            "nothing".to_owned()
        } else {
            all.join(", ")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_in_exactly_one_class() {
        let mut tally = Tally::default();
        for result in [
            Ok(200),
            Ok(204),
            Ok(302),
            Ok(401),
            Ok(500),
            Ok(503),
            Err(Broken::Closed),
            Err(Broken::TimedOut),
        ] {
            tally.count(result);
        }
        let mut doubled = tally.clone();
        doubled.merge(&tally);
        for (tally, times) in [(tally, 1), (doubled, 2)] {
            assert_eq!(tally.accepted(), 2 * times);
            assert_eq!(tally.refused(), 2 * times);
            assert_eq!(tally.unavailable(), 2 * times);
            assert_eq!(tally.unanswered(), 2 * times);
            assert_eq!((tally.total(), tally.failed()), (8 * times, 6 * times));
        }
    }
}
