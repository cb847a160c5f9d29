//! When a grant is refreshed: what is in use ahead of its expiry, what is idle long before Zoom forgets it. Both by
//! chance within a window, so that grants made together do not refresh together.

use std::time::Duration;

use chrono::TimeDelta;
use domicile_kernel::random::unit_fraction;
use domicile_kernel::{Rng, Timestamp};
use domicile_leases::Backoff;

/// Zoom gives each refresh token 90 days.
pub(crate) const REFRESH_TOKEN_LIFE: TimeDelta = TimeDelta::days(90);

/// An idle grant is refreshed within this window after it was refreshed last. What remains is for outages.
const KEEP_ALIVE: (TimeDelta, TimeDelta) = (TimeDelta::days(20), TimeDelta::days(40));

/// A grant in use is refreshed when this part of its access token's life is over: between 45 and 55 minutes of an hour.
const AHEAD: (f64, f64) = (0.75, 11.0 / 12.0);

/// An access token is not handed out when it has less than this left, and always when it has a twelfth of its life left.
const LEAST_LIFE: TimeDelta = TimeDelta::seconds(60);

/// The longest that Zoom's `Retry-After` is believed. Its longest limit is one day; more would let a grant die.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// When a refresh that failed is tried again.
pub(crate) const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(2),
    longest: Duration::from_mins(15),
};

/// The times of a grant that decide when it is refreshed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// When its tokens were received.
    pub(crate) refreshed_at: Timestamp,
    /// When its access token ends.
    pub(crate) access_expires_at: Timestamp,
    /// When an access token of it was last handed out, as far as it is written down.
    pub(crate) last_used_at: Option<Timestamp>,
    /// Whether Zoom gave a refresh token.
    pub(crate) refreshable: bool,
}

impl Times {
    /// Whether its present access token was handed out.
    pub(crate) fn in_use(&self) -> bool {
        self.last_used_at.is_some_and(|used| used >= self.refreshed_at)
    }

    /// When it is to be refreshed, somewhere within its window.
    pub(crate) fn next(&self, rng: &dyn Rng) -> Timestamp {
        let (earliest, latest) = self.window();
        earliest + scaled(latest - earliest, unit_fraction(rng))
    }

    /// Whether its window has begun.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        now >= self.window().0
    }

    /// Whether its access token is too near its end to be handed out.
    pub(crate) fn is_ending(&self, now: Timestamp) -> bool {
        let least = LEAST_LIFE.min(scaled(self.life(), 1.0 / 12.0));
        self.access_expires_at - now <= least
    }

    /// Whether its refresh token has outlived what Zoom gives it.
    pub(crate) fn has_outlived(&self, now: Timestamp) -> bool {
        now - self.refreshed_at >= REFRESH_TOKEN_LIFE
    }

    fn window(&self) -> (Timestamp, Timestamp) {
        if !self.refreshable {
            return (self.access_expires_at, self.access_expires_at);
        }
        let keep_alive = (self.refreshed_at + KEEP_ALIVE.0, self.refreshed_at + KEEP_ALIVE.1);
        if !self.in_use() {
            return keep_alive;
        }
        let at = |part| self.refreshed_at + scaled(self.life(), part);
        // A token that claims to live for months does not hold up the keep-alive.
        (at(AHEAD.0).min(keep_alive.0), at(AHEAD.1).min(keep_alive.1))
    }

    fn life(&self) -> TimeDelta {
        (self.access_expires_at - self.refreshed_at).max(TimeDelta::zero())
    }
}

/// When a grant that was just authorized is refreshed, if nobody uses it.
pub(crate) fn first(now: Timestamp, rng: &dyn Rng) -> Timestamp {
    let unused = Times {
        refreshed_at: now,
        access_expires_at: now,
        last_used_at: None,
        refreshable: true,
    };
    unused.next(rng)
}

/// When a refresh is tried again after so many failures, and never before Zoom allows it.
pub(crate) fn retry_at(now: Timestamp, failures: u32, asked: Option<Duration>, rng: &dyn Rng) -> Timestamp {
    let asked = asked.map(|asked| asked.min(LONGEST_RETRY_AFTER));
    let delay = BACKOFF.delay(failures, asked, rng);
    now + TimeDelta::from_std(delay).unwrap_or(KEEP_ALIVE.0)
}

fn scaled(span: TimeDelta, part: f64) -> TimeDelta {
    let span = span.to_std().unwrap_or_default();
    TimeDelta::from_std(span.mul_f64(part)).unwrap_or(TimeDelta::zero())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domicile_testkit::clock::{SeededRng, TestClock};
    use proptest::prelude::*;

    use super::*;

    fn start() -> Timestamp {
        TestClock::new().port().now()
    }

    fn times(life_seconds: i64, used_after: Option<i64>) -> Times {
        Times {
            refreshed_at: start(),
            access_expires_at: start() + TimeDelta::seconds(life_seconds),
            last_used_at: used_after.map(|after| start() + TimeDelta::seconds(after)),
            refreshable: true,
        }
    }

    proptest! {
        #[test]
        fn no_schedule_lets_90_days_pass_even_with_a_month_of_failures_and_the_longest_retry_after(
            life in 0_i64..400 * 86_400,
            used in prop::option::of(-86_400_i64..400 * 86_400),
            failures in 0_u32..4_000,
            asked in prop::option::of(0..u64::MAX),
            seed: u64,
        ) {
            let (times, rng) = (times(life, used), SeededRng::new(seed));
            let due = times.next(&rng);
            prop_assert!(due >= start() && due <= start() + TimeDelta::days(40));
            let tried = due + TimeDelta::days(30);
            let again = retry_at(tried, failures, asked.map(Duration::from_secs), &rng);
            prop_assert!(again > tried && again < start() + REFRESH_TOKEN_LIFE);
        }

        #[test]
        fn what_is_scheduled_is_due_when_its_time_comes_and_not_before_its_window(
            life in 1_i64..7_200,
            used in prop::option::of(-100_i64..7_200),
            seed: u64,
        ) {
            let times = times(life, used);
            prop_assert!(times.is_due(times.next(&SeededRng::new(seed))));
            prop_assert!(!times.is_due(start()));
        }

        #[test]
        fn a_token_in_use_is_renewed_before_it_is_too_old_to_be_handed_out(life in 60_i64..7_200, seed: u64) {
            let times = times(life, Some(0));
            let due = times.next(&SeededRng::new(seed));
            prop_assert!(due < times.access_expires_at);
            prop_assert!(!times.is_ending(due - TimeDelta::seconds(1)));
        }

        #[test]
        fn retry_after_is_obeyed_up_to_a_day(asked in 0_u64..200_000, failures in 0_u32..100, seed: u64) {
            let again = retry_at(start(), failures, Some(Duration::from_secs(asked)), &SeededRng::new(seed));
            prop_assert!(again >= start() + TimeDelta::seconds(i64::try_from(asked.min(86_400)).unwrap()));
        }
    }

    #[test]
    fn links_made_at_once_do_not_refresh_on_one_day_nor_tokens_in_use_in_one_minute() {
        let rng = SeededRng::new(1);
        let spread = |times: Times, unit: TimeDelta| {
            let units: Vec<_> = (0..1_000)
                .map(|_| (times.next(&rng) - start()).num_seconds() / unit.num_seconds())
                .collect();
            let most = units
                .iter()
                .map(|unit| units.iter().filter(|other| *other == unit).count())
                .max();
            (units.into_iter().collect::<BTreeSet<_>>().len(), most.unwrap())
        };
        let (days, on_the_fullest) = spread(times(3_600, None), TimeDelta::days(1));
        assert_eq!(days, 20);
        assert!(on_the_fullest < 90, "{on_the_fullest} of 1000 on one day");
        let (minutes, in_the_fullest) = spread(times(3_600, Some(0)), TimeDelta::minutes(1));
        assert_eq!(minutes, 10);
        assert!(in_the_fullest < 150, "{in_the_fullest} of 1000 in one minute");
    }

    #[test]
    fn use_is_what_falls_into_the_life_of_the_present_token() {
        assert!(!times(3_600, None).in_use());
        assert!(!times(3_600, Some(-1)).in_use());
        assert!(times(3_600, Some(0)).in_use());
        let without_refresh = Times {
            refreshable: false,
            ..times(3_600, None)
        };
        assert!(!without_refresh.is_due(start() + TimeDelta::seconds(3_599)));
        assert!(without_refresh.is_due(start() + TimeDelta::seconds(3_600)));
    }
}
