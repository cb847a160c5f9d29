//! Linking's metrics.

use std::sync::LazyLock;

use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};

pub(crate) struct LinkingMetrics {
    sessions: Counter<u64>,
    refreshes: Counter<u64>,
    zoom_calls: Counter<u64>,
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
        zoom_calls: meter
            .u64_counter("domicile.zoom.calls")
            .with_unit("{call}")
            .with_description("Calls of Zoom's API on the app's behalf by pattern, method and outcome")
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

    /// `outcome` is the class of Zoom's status, or why there is none.
    pub(crate) fn zoom_call(&self, method: &str, pattern: &str, outcome: &'static str) {
        let attributes = [
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("http.route", pattern.to_owned()),
            KeyValue::new("outcome", outcome),
        ];
        self.zoom_calls.add(1, &attributes);
    }

    pub(crate) fn refresh(&self, outcome: &'static str) {
        self.refreshes.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}
