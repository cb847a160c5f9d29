//! The store's metrics.

use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};

/// Instruments of the pool and of transactions.
pub(crate) struct StoreMetrics {
    transaction_seconds: Histogram<f64>,
    transaction_repeats: Counter<u64>,
}

pub(crate) static METRICS: LazyLock<StoreMetrics> = LazyLock::new(|| {
    let meter = global::meter("domicile.store");
    StoreMetrics {
        transaction_seconds: meter
            .f64_histogram("domicile.db.transaction.duration")
            .with_unit("s")
            .with_description("How long named transactions take, repeats included")
            .build(),
        transaction_repeats: meter
            .u64_counter("domicile.db.transaction.repeats")
            .with_description("Transactions repeated after a deadlock or conflict")
            .build(),
    }
});

impl StoreMetrics {
    pub(crate) fn transaction(&self, name: &'static str, seconds: f64, ok: bool) {
        let outcome = if ok { "committed" } else { "rolled_back" };
        self.transaction_seconds.record(
            seconds,
            &[
                KeyValue::new("transaction", name),
                KeyValue::new("outcome", outcome),
            ],
        );
    }

    pub(crate) fn repeat(&self, name: &'static str) {
        self.transaction_repeats
            .add(1, &[KeyValue::new("transaction", name)]);
    }
}
