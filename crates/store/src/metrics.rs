//! The store's metrics.

use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::{KeyValue, global};

use crate::health::ServerHealth;

/// Instruments of the pool and of transactions.
pub(crate) struct StoreMetrics {
    transaction_seconds: Histogram<f64>,
    transaction_repeats: Counter<u64>,
    up: Gauge<u64>,
    size: Gauge<i64>,
    connections: Gauge<i64>,
    connections_max: Gauge<i64>,
    transaction_age: Gauge<i64>,
    clock_skew_seconds: Gauge<f64>,
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
        up: meter
            .u64_gauge("domicile.db.up")
            .with_description("1 while the database answers this process, 0 while it does not")
            .build(),
        size: meter
            .i64_gauge("domicile.db.size")
            .with_unit("By")
            .with_description("What the region's database takes on its server's disk")
            .build(),
        connections: meter
            .i64_gauge("domicile.db.server.connections")
            .with_unit("{connection}")
            .with_description("Connections of all clients to the database server")
            .build(),
        connections_max: meter
            .i64_gauge("domicile.db.server.connections.max")
            .with_unit("{connection}")
            .with_description("Connections that the database server takes at most (`max_connections`)")
            .build(),
        transaction_age: meter
            .i64_gauge("domicile.db.transaction_id.age")
            .with_unit("{transaction}")
            .with_description(
                "Transactions since the oldest that no vacuum has frozen; PostgreSQL stops writing near 2^31",
            )
            .build(),
        clock_skew_seconds: meter
            .f64_gauge("domicile.clock.skew")
            .with_unit("s")
            .with_description("How far this process's clock is ahead of another's, by whose it is")
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

    pub(crate) fn up(&self, up: bool) {
        self.up.record(u64::from(up), &[]);
    }

    pub(crate) fn server(&self, health: &ServerHealth) {
        self.size.record(health.size_bytes, &[]);
        self.connections.record(health.connections, &[]);
        self.connections_max.record(health.max_connections, &[]);
        self.transaction_age.record(health.transaction_age, &[]);
    }

    pub(crate) fn clock_skew(&self, seconds: f64) {
        self.clock_skew_seconds
            .record(seconds, &[KeyValue::new("reference", "database")]);
    }

    pub(crate) fn repeat(&self, name: &'static str) {
        self.transaction_repeats
            .add(1, &[KeyValue::new("transaction", name)]);
    }
}
