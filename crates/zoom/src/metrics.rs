//! What this crate measures.

use std::sync::LazyLock;

use opentelemetry::metrics::Gauge;
use opentelemetry::{KeyValue, global};

pub(crate) struct ZoomMetrics {
    clock_skew_seconds: Gauge<f64>,
}

pub(crate) static METRICS: LazyLock<ZoomMetrics> = LazyLock::new(|| {
    let meter = global::meter("domicile.zoom");
    ZoomMetrics {
        clock_skew_seconds: meter
            .f64_gauge("domicile.clock.skew")
            .with_unit("s")
            .with_description("How far this process's clock is ahead of another's, by whose it is")
            .build(),
    }
});

impl ZoomMetrics {
    pub(crate) fn clock_skew(&self, seconds: f64) {
        self.clock_skew_seconds
            .record(seconds, &[KeyValue::new("reference", "zoom")]);
    }
}
