//! The room's metrics.

use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::{KeyValue, global};

use crate::endpoint::Endpoint;
use crate::reason::QuarantineReason;

pub(crate) struct IntakeMetrics {
    received: Counter<u64>,
    secret: Counter<u64>,
    signed_age_seconds: Histogram<f64>,
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
            .with_description("Requests of Zoom by endpoint and outcome")
            .build(),
        secret: meter
            .u64_counter("domicile.intake.verified")
            .with_description("Requests by the position of the secret that verified, counted from 0")
            .build(),
        signed_age_seconds: meter
            .f64_histogram("domicile.intake.signed_age")
            .with_unit("s")
            .with_description(
                "Age of verified signatures; ages below zero, from a clock ahead of ours, count as 0",
            )
            .with_boundaries(vec![
                1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1500.0, 1800.0, 3600.0, 5100.0, 5700.0,
            ])
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
    /// Counts an answered request. `outcome` is one of few fixed words.
    pub(crate) fn received(&self, endpoint: Endpoint, outcome: &'static str) {
        self.received.add(
            1,
            &[
                KeyValue::new("endpoint", endpoint.as_str()),
                KeyValue::new("outcome", outcome),
            ],
        );
    }

    pub(crate) fn verified(&self, endpoint: Endpoint, secret_index: usize, age_seconds: i64) {
        let endpoint = KeyValue::new("endpoint", endpoint.as_str());
        let position = i64::try_from(secret_index).unwrap_or(i64::MAX);
        self.secret
            .add(1, &[endpoint.clone(), KeyValue::new("secret", position)]);
        // The window bounds it to some thousands, which an u32 and so an f64 hold exactly.
        let age = u32::try_from(age_seconds).unwrap_or(0);
        self.signed_age_seconds.record(f64::from(age), &[endpoint]);
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
