//! Linking's metrics.

use std::sync::LazyLock;

use domicile_kernel::state::{GrantState, TextState};
use opentelemetry::metrics::{Counter, Gauge};
use opentelemetry::{KeyValue, global};

pub(crate) struct LinkingMetrics {
    sessions: Counter<u64>,
    refreshes: Counter<u64>,
    leases_lost: Counter<u64>,
    grants: Gauge<i64>,
}

pub(crate) static METRICS: LazyLock<LinkingMetrics> = LazyLock::new(|| {
    let meter = global::meter("domicile.linking");
    LinkingMetrics {
        sessions: meter
            .u64_counter("domicile.connect_sessions")
            .with_description("Connect sessions by the state that they reached and the reason of a refusal")
            .build(),
        refreshes: meter
            .u64_counter("domicile.grant.refreshes")
            .with_description("Refreshes of grants by outcome and error or reason")
            .build(),
        leases_lost: meter
            .u64_counter("domicile.grant.leases_lost")
            .with_description(
                "Refreshers that lost their grant to another before they had written what came of it",
            )
            .build(),
        grants: meter
            .i64_gauge("domicile.grants")
            .with_description("Grants that are unsure or ended")
            .build(),
    }
});

impl LinkingMetrics {
    pub(crate) fn session(&self, state: &'static str, reason: &'static str) {
        self.sessions.add(
            1,
            &[KeyValue::new("state", state), KeyValue::new("reason", reason)],
        );
    }

    pub(crate) fn refresh(&self, outcome: &'static str, error_type: &'static str) {
        let labels = [
            KeyValue::new("outcome", outcome),
            KeyValue::new("error.type", error_type),
        ];
        self.refreshes.add(1, &labels);
    }

    pub(crate) fn lease_lost(&self) {
        self.leases_lost.add(1, &[]);
    }

    /// Sets every state but the good one, so that what went away reads zero.
    pub(crate) fn grants(&self, troubled: &[(GrantState, i64)]) {
        for state in [GrantState::Unsure, GrantState::Ended] {
            let count = troubled.iter().find(|(is, _)| *is == state);
            let labels = [KeyValue::new("state", state.as_str())];
            self.grants.record(count.map_or(0, |(_, count)| *count), &labels);
        }
    }
}
