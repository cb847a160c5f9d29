//! Linking's metrics.

use std::sync::LazyLock;

use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};

pub(crate) struct LinkingMetrics {
    sessions: Counter<u64>,
    refreshes: Counter<u64>,
    session_tokens: Counter<u64>,
    jwks_fetches: Counter<u64>,
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
        session_tokens: meter
            .u64_counter("domicile.app.session_tokens")
            .with_description("Verifications of the app's session tokens by outcome")
            .build(),
        jwks_fetches: meter
            .u64_counter("domicile.app.jwks_fetches")
            .with_description("Fetches of the app's keys by outcome")
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

    pub(crate) fn refresh(&self, outcome: &'static str) {
        self.refreshes.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    pub(crate) fn session_token(&self, outcome: &'static str) {
        self.session_tokens.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    pub(crate) fn jwks_fetch(&self, outcome: &'static str) {
        self.jwks_fetches.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}
