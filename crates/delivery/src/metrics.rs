//! The room's metrics.

use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::{KeyValue, global};

pub(crate) struct DeliveryMetrics {
    attempts: Counter<u64>,
    attempt_seconds: Histogram<f64>,
    delivery_seconds: Histogram<f64>,
    pending: Gauge<i64>,
    pending_age_seconds: Gauge<f64>,
}

pub(crate) const DELIVERED: &str = "delivered";

pub(crate) static METRICS: LazyLock<DeliveryMetrics> = LazyLock::new(|| {
    let meter = global::meter("domicile.delivery");
    DeliveryMetrics {
        attempts: meter
            .u64_counter("domicile.delivery.attempts")
            .with_description("Posts of events to the app by outcome")
            .build(),
        attempt_seconds: meter
            .f64_histogram("domicile.delivery.attempt.duration")
            .with_unit("s")
            .with_description("How long the app took to answer, or to fail to")
            .build(),
        delivery_seconds: meter
            .f64_histogram("domicile.delivery.duration")
            .with_unit("s")
            .with_description("From the moment at which an event became true to the app's 2xx")
            .with_boundaries(vec![
                1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21_600.0, 86_400.0,
            ])
            .build(),
        pending: meter
            .i64_gauge("domicile.delivery.pending")
            .with_description("Events that the app has not yet answered with 2xx")
            .build(),
        pending_age_seconds: meter
            .f64_gauge("domicile.delivery.oldest_pending_age")
            .with_unit("s")
            .with_description("How long ago the oldest of them became true")
            .build(),
    }
});

impl DeliveryMetrics {
    /// Shows the counter from the start, so that a rate has a zero to begin at.
    pub(crate) fn start_at_zero(&self) {
        self.attempts.add(0, &[KeyValue::new("outcome", DELIVERED)]);
    }

    pub(crate) fn attempt(&self, outcome: &'static str, took: Duration) {
        let labels = [KeyValue::new("outcome", outcome)];
        self.attempts.add(1, &labels);
        self.attempt_seconds.record(took.as_secs_f64(), &labels);
    }

    /// An event has reached the app, so long after it became true.
    pub(crate) fn delivered(&self, after: Duration) {
        self.delivery_seconds.record(after.as_secs_f64(), &[]);
    }

    pub(crate) fn pending(&self, events: i64, oldest_age_seconds: f64) {
        self.pending.record(events, &[]);
        self.pending_age_seconds.record(oldest_age_seconds, &[]);
    }
}
