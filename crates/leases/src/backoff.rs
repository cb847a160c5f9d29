//! When a failed job is tried again.

use std::time::Duration;

use domicile_kernel::Rng;
use domicile_kernel::random::unit_fraction;

/// Exponential backoff with jitter: attempt `n` waits between half and the whole of `first * 2^(n-1)`, at most `longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first failure.
    pub first: Duration,
    /// The longest wait after any failure.
    pub longest: Duration,
}

impl Backoff {
    /// The wait after the failure of this attempt, which counts from 1, and never less than the other side asked for.
    pub fn delay(&self, attempt: u32, at_least: Option<Duration>, rng: &dyn Rng) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let ceiling = self.first.saturating_mul(1 << doublings).min(self.longest);
        let delay = ceiling.mul_f64(0.5 + unit_fraction(rng) / 2.0);
        delay.max(at_least.unwrap_or(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domicile_kernel::Rng;
    use proptest::prelude::*;

    struct Fixed(u8);

    impl Rng for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    proptest! {
        #[test]
        fn a_delay_lies_between_half_and_the_whole_of_its_step(attempt in 1_u32..100, byte: u8) {
            let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(3600) };
            let whole = Duration::from_secs(1 << (attempt - 1).min(12)).min(backoff.longest);
            let delay = backoff.delay(attempt, None, &Fixed(byte));
            prop_assert!(delay >= whole / 2 && delay <= whole);
        }

        #[test]
        fn retry_after_is_obeyed(attempt in 1_u32..100, seconds in 0_u64..100_000) {
            let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
            let asked = Duration::from_secs(seconds);
            prop_assert!(backoff.delay(attempt, Some(asked), &Fixed(7)) >= asked);
        }
    }
}
