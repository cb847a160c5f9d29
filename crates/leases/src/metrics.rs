//! The engine's metrics: outcomes, durations, depth and age of each queue.

use std::sync::LazyLock;
use std::time::Duration;

use domicile_kernel::Timestamp;
use domicile_kernel::state::{JobStatus, TextState};
use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::{KeyValue, global};

use crate::store::KindStatistics;

pub(crate) struct LeaseMetrics {
    attempts: Counter<u64>,
    seconds: Histogram<f64>,
    depth: Gauge<i64>,
    due_age_seconds: Gauge<f64>,
    age_seconds: Gauge<f64>,
}

pub(crate) static METRICS: LazyLock<LeaseMetrics> = LazyLock::new(|| {
    let meter = global::meter("domicile.leases");
    LeaseMetrics {
        attempts: meter
            .u64_counter("domicile.jobs.attempts")
            .with_description("Attempts of jobs by kind and outcome")
            .build(),
        seconds: meter
            .f64_histogram("domicile.jobs.duration")
            .with_unit("s")
            .with_description("How long attempts of jobs take")
            .build(),
        depth: meter
            .i64_gauge("domicile.jobs.depth")
            .with_description("Unfinished jobs by kind and state")
            .build(),
        due_age_seconds: meter
            .f64_gauge("domicile.jobs.oldest_due_age")
            .with_unit("s")
            .with_description("For how long the oldest queued job of a kind has been due")
            .build(),
        age_seconds: meter
            .f64_gauge("domicile.jobs.oldest_age")
            .with_unit("s")
            .with_description("How long ago the oldest unfinished job of a kind and state was asked for")
            .build(),
    }
});

impl LeaseMetrics {
    pub(crate) fn attempt(
        &self,
        kind: &'static str,
        outcome: &'static str,
        class: &'static str,
        took: Duration,
    ) {
        let kind = KeyValue::new("job.kind", kind);
        self.attempts.add(
            1,
            &[
                kind.clone(),
                KeyValue::new("outcome", outcome),
                KeyValue::new("error.type", class),
            ],
        );
        self.seconds.record(took.as_secs_f64(), &[kind]);
    }

    /// Shows the counter of each kind from the start, so that a rate has a zero to begin at.
    pub(crate) fn start_at_zero(&self, kind: &'static str) {
        for (outcome, class) in [("finished", ""), ("lease_lost", "lease_lost"), ("given_back", "")] {
            self.attempts.add(
                0,
                &[
                    KeyValue::new("job.kind", kind),
                    KeyValue::new("outcome", outcome),
                    KeyValue::new("error.type", class),
                ],
            );
        }
    }

    /// Sets depth and age of every kind in every state, so that what went away reads zero.
    pub(crate) fn queues(&self, kinds: &[&'static str], rows: &[KindStatistics], now: Timestamp) {
        for kind in kinds {
            for status in JobStatus::ALL {
                let row = rows.iter().find(|row| row.kind == *kind && row.status == *status);
                let labels = [
                    KeyValue::new("job.kind", *kind),
                    KeyValue::new("state", status.as_str()),
                ];
                self.depth.record(row.map_or(0, |row| row.count), &labels);
                let since = row.and_then(|row| row.oldest_created_at).unwrap_or(now);
                let age = (now - since).to_std().unwrap_or_default();
                self.age_seconds.record(age.as_secs_f64(), &labels);
                if *status == JobStatus::Queued {
                    let due = row.and_then(|row| row.oldest_due_at).unwrap_or(now);
                    let age = (now - due).to_std().unwrap_or_default();
                    self.due_age_seconds.record(age.as_secs_f64(), &labels[..1]);
                }
            }
        }
    }
}
