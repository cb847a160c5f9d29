//! Linking's metrics.

use std::sync::LazyLock;

use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};

pub(crate) struct LinkingMetrics {
    sessions: Counter<u64>,
    refreshes: Counter<u64>,
    strays: Counter<u64>,
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
            .with_description("Refreshes of grants by outcome")
            .build(),
        strays: meter
            .u64_counter("domicile.connect_sessions.refused_steps")
            .with_description("Steps that were refused and changed nothing, by who tried")
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

    pub(crate) fn stray(&self, actor: &'static str) {
        self.strays.add(1, &[KeyValue::new("actor", actor)]);
    }

    pub(crate) fn refresh(&self, outcome: &'static str) {
        self.refreshes.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}
