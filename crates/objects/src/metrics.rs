//! What this crate counts.

use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, Gauge};
use opentelemetry::{KeyValue, global};

/// The storage does not let us.
pub(crate) const DENIED: &str = "denied";
/// Anything else that is not "there is no such object".
pub(crate) const FAILED: &str = "failed";

pub(crate) struct ObjectsMetrics {
    errors: Counter<u64>,
    free: Gauge<u64>,
    capacity: Gauge<u64>,
}

pub(crate) static METRICS: LazyLock<ObjectsMetrics> = LazyLock::new(|| {
    let meter = global::meter("domicile.objects");
    ObjectsMetrics {
        errors: meter
            .u64_counter("domicile.objects.errors")
            .with_unit("{call}")
            .with_description("Uses of the object storage that failed, by class")
            .build(),
        free: meter
            .u64_gauge("domicile.objects.free")
            .with_unit("By")
            .with_description(
                "What the file system of file:// storage still takes from this process; S3 has no such number",
            )
            .build(),
        capacity: meter
            .u64_gauge("domicile.objects.capacity")
            .with_unit("By")
            .with_description("How large the file system of file:// storage is; S3 has no such number")
            .build(),
    }
});

impl ObjectsMetrics {
    /// Shows the counters from the start, so that a rate has a zero to begin at.
    pub(crate) fn start_at_zero(&self) {
        for class in [DENIED, FAILED] {
            self.errors.add(0, &[KeyValue::new("error.type", class)]);
        }
    }

    pub(crate) fn failed(&self, class: &'static str) {
        self.errors.add(1, &[KeyValue::new("error.type", class)]);
    }

    pub(crate) fn space(&self, free_bytes: u64, capacity_bytes: u64) {
        self.free.record(free_bytes, &[]);
        self.capacity.record(capacity_bytes, &[]);
    }
}
