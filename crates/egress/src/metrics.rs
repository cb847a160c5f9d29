//! What this crate counts.

use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram, Meter};
use opentelemetry::{KeyValue, global};

use crate::fence::RefusedReason;

/// The instruments of this crate.
#[derive(Clone)]
pub(crate) struct Metrics {
    refused: Counter<u64>,
    duration: Histogram<f64>,
}

impl Metrics {
    /// On the meter provider that `telemetry` has set.
    pub(crate) fn global() -> Self {
        Self::new(&global::meter("domicile.egress"))
    }

    fn new(meter: &Meter) -> Self {
        let refused = meter
            .u64_counter("domicile.egress.refused")
            .with_unit("{call}")
            .with_description("Calls that the fence did not let out, by reason")
            .build();
        for reason in RefusedReason::ALL {
            refused.add(0, &[KeyValue::new("reason", reason.as_str())]);
        }
        // Name, unit, boundaries: OpenTelemetry HTTP client semantic conventions; recordings take longer, hence 30 to 300.
        let duration = meter
            .f64_histogram("http.client.request.duration")
            .with_unit("s")
            .with_description("Time until the head of the answer had arrived")
            .with_boundaries(vec![
                0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0,
                300.0,
            ])
            .build();
        Self { refused, duration }
    }

    pub(crate) fn refused(&self, reason: RefusedReason) {
        self.refused.add(1, &[KeyValue::new("reason", reason.as_str())]);
    }

    pub(crate) fn answered(&self, taken: Duration, attributes: &[KeyValue]) {
        self.duration.record(taken.as_secs_f64(), attributes);
    }
}
