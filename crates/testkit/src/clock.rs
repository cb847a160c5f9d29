//! Time and chance that a test commands.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use domicile_kernel::{Clock, Ids, Rng, Timestamp};
use sha2::{Digest, Sha256};

/// A clock that stands still until it is moved. Clones show the same time.
#[derive(Debug, Clone)]
pub struct TestClock {
    now: Arc<Mutex<Timestamp>>,
}

impl TestClock {
    /// Shows noon of the first of June 2026, UTC.
    pub fn new() -> Self {
        Self::at(DateTime::from_timestamp(1_780_315_200, 0).expect("the seconds are in range"))
    }

    /// Shows this time.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: Arc::new(Mutex::new(now)),
        }
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        *self.lock() += TimeDelta::from_std(by).expect("a test does not wait for ages");
    }

    /// Moves it to any time, also back.
    pub fn set(&self, now: Timestamp) {
        *self.lock() = now;
    }

    /// The clock as the port that production code takes.
    pub fn port(&self) -> Arc<dyn Clock> {
        Arc::new(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Timestamp> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.lock()
    }
}

/// Bytes that look random and are the same for the same seed. Clones continue one sequence.
#[derive(Debug, Clone)]
pub struct SeededRng {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    seed: u64,
    block: u64,
}

impl SeededRng {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State { seed, block: 0 })),
        }
    }

    /// The randomness as the port that production code takes.
    pub fn port(&self) -> Arc<dyn Rng> {
        Arc::new(self.clone())
    }
}

impl Rng for SeededRng {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(32) {
            let block = Sha256::new()
                .chain_update(state.seed.to_le_bytes())
                .chain_update(state.block.to_le_bytes());
            chunk.copy_from_slice(&block.finalize()[..chunk.len()]);
            state.block += 1;
        }
    }
}

/// Ids from a test's clock and randomness.
pub fn ids(clock: &TestClock, rng: &SeededRng) -> Ids {
    Ids::new(clock.port(), rng.port())
}

#[cfg(test)]
mod tests {
    use domicile_kernel::random::random_bytes;

    use super::*;

    #[test]
    fn time_passes_only_when_it_is_moved_and_for_all_clones() {
        let clock = TestClock::new();
        let port = clock.port();
        let start = port.now();
        assert_eq!(start.to_rfc3339(), "2026-06-01T12:00:00+00:00");
        assert_eq!(port.now(), start);
        clock.advance(Duration::from_micros(1));
        assert_eq!(port.now() - start, TimeDelta::microseconds(1));
        clock.set(start);
        assert_eq!(port.now(), start);
    }

    #[test]
    fn a_seed_names_a_sequence_that_does_not_repeat_itself() {
        let (one, same, other) = (SeededRng::new(1), SeededRng::new(1), SeededRng::new(2));
        let first: [u8; 40] = random_bytes(&one);
        assert_eq!(first, random_bytes::<40>(&same));
        assert_ne!(first, random_bytes::<40>(&other));
        assert_ne!(first, random_bytes::<40>(&one.clone()));
    }
}
