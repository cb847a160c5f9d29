//! The audit of what came to nothing: a state, ticket or link that no session has, or not any more.
//!
//! Whoever reaches the public listener can cause such entries without proving anything, so each process writes only so many
//! of them; the metric counts them all. What the app's backend does is always written: it has proved who it is.

use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;
use domicile_kernel::Timestamp;
use domicile_store::audit::{Actor, AuditEntry};
use domicile_store::{Conn, StoreError};
use tracing::warn;

use crate::linking::Linking;
use crate::metrics::METRICS;

/// So many entries at once, and one more each second.
const BURST: u32 = 120;

/// How many entries strangers may still cause.
pub(crate) struct StrayBudget(Mutex<State>);

struct State {
    left: u32,
    refilled_at: Option<Timestamp>,
}

impl Default for StrayBudget {
    fn default() -> Self {
        Self(Mutex::new(State {
            left: BURST,
            refilled_at: None,
        }))
    }
}

impl StrayBudget {
    /// True if one more entry may be written now.
    fn take(&self, now: Timestamp) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = state.refilled_at.get_or_insert(now);
        let seconds = (now - *since).num_seconds().max(0);
        *since += TimeDelta::seconds(seconds);
        state.left = u32::try_from(seconds)
            .unwrap_or(BURST)
            .saturating_add(state.left)
            .min(BURST);
        let may = state.left > 0;
        state.left = state.left.saturating_sub(1);
        may
    }
}

impl Linking {
    /// Leaves an audit entry about a browser that came to the callback with something that belongs to no session.
    pub(crate) async fn audit_return(&self, reason: &'static str) {
        let entry = AuditEntry::refused(Actor::Browser, "connect_session.return", reason);
        self.audit_refused(Actor::Browser, entry).await;
    }

    /// Leaves an audit entry about a refused step that changed nothing. It is no reason to fail the answer, which is a
    /// refusal anyway.
    pub(crate) async fn audit_refused(&self, actor: Actor, entry: AuditEntry) {
        let from_browser = actor == Actor::Browser;
        METRICS.stray(if from_browser { "browser" } else { "app" });
        if from_browser && !self.stray.take(self.now()) {
            return;
        }
        let ids = &self.parts.ids;
        let written = self
            .parts
            .db
            .run_tx(
                "audit_refused_step",
                async |conn: &mut Conn| -> Result<(), StoreError> { entry.write(conn, ids).await },
            )
            .await;
        if let Err(error) = written {
            warn!(%error, "a refused step could not be written to the audit");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strangers_cause_a_burst_and_then_one_entry_a_second() {
        let budget = StrayBudget::default();
        let start = Timestamp::UNIX_EPOCH;
        let taken = |seconds: i64, tries: usize| {
            let now = start + TimeDelta::seconds(seconds);
            (0..tries).filter(|_| budget.take(now)).count()
        };
        assert_eq!(taken(0, 1000), 120);
        assert_eq!(taken(1, 10), 1);
        assert_eq!(taken(5, 10), 4);
        assert_eq!(taken(4, 10), 0, "a clock that goes back gives nothing");
        assert_eq!(taken(100_000, 1000), 120);
    }

    proptest! {
        #[test]
        fn never_more_than_a_burst_and_one_a_second(steps in prop::collection::vec((0_i64..5, 0_usize..50), 0..40)) {
            let budget = StrayBudget::default();
            let (mut now, mut taken) = (0, 0_i64);
            for (seconds, tries) in steps {
                now += seconds;
                let at = Timestamp::UNIX_EPOCH + TimeDelta::seconds(now);
                taken += i64::try_from((0..tries).filter(|_| budget.take(at)).count()).unwrap();
                prop_assert!(taken <= i64::from(BURST) + now);
            }
        }
    }
}
