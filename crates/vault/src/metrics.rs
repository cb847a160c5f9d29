//! The vault's metrics.

use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, Gauge};
use opentelemetry::{KeyValue, global};

pub(crate) struct VaultMetrics {
    data_keys: Gauge<u64>,
    unwrap_failures: Counter<u64>,
    region_key_age_seconds: Gauge<f64>,
}

/// The classes of failures that a healthy region never sees.
const CLASSES: [&str; 11] = [
    "missing",
    "wrong",
    "not_found",
    "disabled",
    "denied",
    "unfit",
    "credentials",
    "unreachable",
    "unavailable",
    "answer",
    "cipher",
];

pub(crate) static METRICS: LazyLock<VaultMetrics> = LazyLock::new(|| {
    let meter = global::meter("domicile.vault");
    VaultMetrics {
        data_keys: meter
            .u64_gauge("domicile.vault.data_keys")
            .with_description(
                "Live data keys by the region key that wraps them, and whether that one is configured",
            )
            .build(),
        region_key_age_seconds: meter
            .f64_gauge("domicile.vault.region_key.age")
            .with_unit("s")
            .with_description("How long ago this region first used the region key that seals now")
            .build(),
        unwrap_failures: meter
            .u64_counter("domicile.vault.unwrap.failures")
            .with_description("Data keys that could not be unwrapped, by class")
            .build(),
    }
});

impl VaultMetrics {
    /// Shows the counter from the start, so that a rate has a zero to begin at.
    pub(crate) fn start_at_zero(&self) {
        for class in CLASSES {
            self.unwrap_failures.add(0, &[KeyValue::new("class", class)]);
        }
    }

    pub(crate) fn unwrap_failed(&self, class: &'static str) {
        self.unwrap_failures.add(1, &[KeyValue::new("class", class)]);
    }

    pub(crate) fn region_key_age(&self, region_key: &str, seconds: f64) {
        self.region_key_age_seconds
            .record(seconds, &[KeyValue::new("region_key", region_key.to_owned())]);
    }

    pub(crate) fn data_keys(&self, region_key: &str, configured: bool, data_keys: u64) {
        self.data_keys.record(
            data_keys,
            &[
                KeyValue::new("region_key", region_key.to_owned()),
                KeyValue::new("configured", configured),
            ],
        );
    }
}
