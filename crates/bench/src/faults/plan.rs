//! Which fault comes when: random, and the same again for the same seed.

use std::time::Duration;

use serde::Serialize;

use crate::event::Random;

/// What is done to database or service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum FaultKind {
    /// PostgreSQL is stopped as an operator does, and is away for some seconds.
    DatabaseStopped,
    /// PostgreSQL is stopped and started again at once.
    DatabaseRestarted,
    /// Every process of PostgreSQL is ended by `kill -9`; it recovers.
    DatabaseKilled,
    /// Every process of PostgreSQL stops in its tracks (SIGSTOP) for some seconds, with its connections open.
    DatabaseFrozen,
    /// The service is ended by `kill -9` and started again.
    ServiceKilled,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::DatabaseStopped,
        Self::DatabaseRestarted,
        Self::DatabaseKilled,
        Self::DatabaseFrozen,
        Self::ServiceKilled,
    ];

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DatabaseStopped => "PostgreSQL stopped",
            Self::DatabaseRestarted => "PostgreSQL restarted",
            Self::DatabaseKilled => "PostgreSQL kill -9",
            Self::DatabaseFrozen => "PostgreSQL SIGSTOP",
            Self::ServiceKilled => "service kill -9",
        }
    }
}

/// One fault of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How long nothing is done before, once the fault before it was recovered from.
    pub calm: Duration,
    /// What is done.
    pub kind: FaultKind,
    /// How long it stays so, where the kind has a length.
    pub length: Duration,
}

/// An endless plan of faults. Each kind comes once before any comes again.
#[derive(Debug)]
pub struct Plan {
    random: Random,
    bag: Vec<FaultKind>,
}

impl Plan {
    /// The plan of this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            bag: Vec::new(),
        }
    }

    fn between(&mut self, low: usize, high: usize) -> Duration {
        let millis = low + self.random.below(high - low);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

impl Iterator for Plan {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.bag.is_empty() {
            self.bag = FaultKind::ALL.to_vec();
        }
        let index = self.random.below(self.bag.len());
        let kind = self.bag.swap_remove(index);
        let length = match kind {
            FaultKind::DatabaseStopped => self.between(2_000, 5_000),
            // Longer and shorter than the service waits for a commit.
            FaultKind::DatabaseFrozen => self.between(1_000, 6_000),
            FaultKind::DatabaseKilled | FaultKind::ServiceKilled => self.between(0, 1_000),
            FaultKind::DatabaseRestarted => Duration::ZERO,
        };
        let calm = self.between(1_000, 5_000);
        Some(Step { calm, kind, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_and_each_kind_comes_in_turn() {
        let plan = |seed| Plan::new(seed).take(50).collect::<Vec<_>>();
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
        for round in plan(3).chunks(FaultKind::ALL.len()) {
            let mut kinds: Vec<_> = round.iter().map(|step| step.kind).collect();
            kinds.sort();
            assert_eq!(kinds, FaultKind::ALL);
        }
        let calm = |step: &Step| (1_000..5_000).contains(&step.calm.as_millis());
        assert!(plan(4).iter().all(calm));
    }
}
