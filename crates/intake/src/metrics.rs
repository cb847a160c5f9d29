//! The room's metrics.

use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, Gauge};
use opentelemetry::{KeyValue, global};

use crate::endpoint::Endpoint;
use crate::reason::QuarantineReason;
use crate::writer::Kept;

pub(crate) struct IntakeMetrics {
    received: Counter<u64>,
    dispatched: Counter<u64>,
    quarantined: Counter<u64>,
    pending: Gauge<i64>,
    pending_age_seconds: Gauge<f64>,
}

pub(crate) static METRICS: LazyLock<IntakeMetrics> = LazyLock::new(|| {
    let meter = global::meter("domicile.intake");
    IntakeMetrics {
        received: meter
            .u64_counter("domicile.intake.received")
            .with_description("Verified requests of Zoom by endpoint and by whether they were kept; `failed` was answered with 503")
            .build(),
        dispatched: meter
            .u64_counter("domicile.intake.dispatched")
            .with_description("Dispatches by event type and outcome")
            .build(),
        quarantined: meter
            .u64_counter("domicile.intake.quarantined")
            .with_description("What was put into quarantine, by reason")
            .build(),
        pending: meter
            .i64_gauge("domicile.intake.pending")
            .with_description("Rows of the inbox that wait for their handlers")
            .build(),
        pending_age_seconds: meter
            .f64_gauge("domicile.intake.oldest_pending_age")
            .with_unit("s")
            .with_description("How long ago the oldest row that waits was received")
            .build(),
    }
});

impl IntakeMetrics {
    /// Counts a verified request; without a result it was not kept.
    pub(crate) fn received(&self, endpoint: Endpoint, kept: Option<Kept>) {
        let outcome = kept.map_or("failed", Kept::as_str);
        self.received.add(
            1,
            &[
                KeyValue::new("endpoint", endpoint.as_str()),
                KeyValue::new("outcome", outcome),
            ],
        );
    }

    /// Counts a dispatch. `event_type` is one that a handler is plugged in for, or `other`.
    pub(crate) fn dispatched(&self, event_type: &str, outcome: &'static str) {
        self.dispatched.add(
            1,
            &[
                KeyValue::new("event_type", event_type.to_owned()),
                KeyValue::new("outcome", outcome),
            ],
        );
    }

    pub(crate) fn quarantined(&self, reason: QuarantineReason) {
        self.quarantined
            .add(1, &[KeyValue::new("reason", reason.as_str())]);
    }

    /// Shows every counter from the start, so that a rate has a zero to begin at.
    pub(crate) fn start_at_zero(&self) {
        for endpoint in [Endpoint::Events, Endpoint::Bot] {
            for outcome in [Kept::New.as_str(), Kept::Duplicate.as_str(), "failed"] {
                self.received.add(
                    0,
                    &[
                        KeyValue::new("endpoint", endpoint.as_str()),
                        KeyValue::new("outcome", outcome),
                    ],
                );
            }
        }
        for reason in QuarantineReason::ALL {
            self.quarantined
                .add(0, &[KeyValue::new("reason", reason.as_str())]);
        }
    }

    pub(crate) fn pending(&self, rows: i64, oldest_age_seconds: f64) {
        self.pending.record(rows, &[]);
        self.pending_age_seconds.record(oldest_age_seconds, &[]);
    }
}
