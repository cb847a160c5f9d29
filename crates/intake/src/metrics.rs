//! The room's metrics.

use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::{KeyValue, global};

use crate::endpoint::Endpoint;
use crate::error::IntakeError;
use crate::reason::QuarantineReason;
use crate::writer::Kept;

const QUEUE_FULL: &str = "queue_full";
const DATABASE_AWAY: &str = "database_away";
const FAILED: &str = "failed";

const SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];

pub(crate) struct IntakeMetrics {
    received: Counter<u64>,
    dispatched: Counter<u64>,
    quarantined: Counter<u64>,
    batch_rows: Histogram<u64>,
    commit_seconds: Histogram<f64>,
    queue_seconds: Histogram<f64>,
    queued_requests: Gauge<u64>,
    queued_bytes: Gauge<u64>,
    split: Counter<u64>,
    away: Gauge<u64>,
    in_quarantine: Gauge<i64>,
    silence_seconds: Gauge<f64>,
    deleted: Counter<u64>,
    pending: Gauge<i64>,
    pending_age_seconds: Gauge<f64>,
}

pub(crate) static METRICS: LazyLock<IntakeMetrics> = LazyLock::new(|| {
    let meter = global::meter("domicile.intake");
    IntakeMetrics {
        received: meter
            .u64_counter("domicile.intake.received")
            .with_description("Verified requests of Zoom by endpoint and by whether they were kept; `queue_full`, `database_away` and `failed` were answered with 503")
            .build(),
        dispatched: meter
            .u64_counter("domicile.intake.dispatched")
            .with_description("Dispatches by event type and outcome")
            .build(),
        quarantined: meter
            .u64_counter("domicile.intake.quarantined")
            .with_description("What was put into quarantine, by reason")
            .build(),
        batch_rows: meter
            .u64_histogram("domicile.intake.batch.rows")
            .with_unit("{row}")
            .with_description("Rows of one commit")
            .with_boundaries(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0])
            .build(),
        commit_seconds: meter
            .f64_histogram("domicile.intake.commit.duration")
            .with_unit("s")
            .with_description("How long PostgreSQL took to commit a batch")
            .with_boundaries(SECONDS.to_vec())
            .build(),
        queue_seconds: meter
            .f64_histogram("domicile.intake.queue.age")
            .with_unit("s")
            .with_description("How long the oldest request of a batch had waited for the commit before it")
            .with_boundaries(SECONDS.to_vec())
            .build(),
        queued_requests: meter
            .u64_gauge("domicile.intake.queue.requests")
            .with_unit("{request}")
            .with_description("Requests that wait for the next batch")
            .build(),
        queued_bytes: meter
            .u64_gauge("domicile.intake.queue.size")
            .with_unit("By")
            .with_description("Bytes of the requests that wait for the next batch")
            .build(),
        split: meter
            .u64_counter("domicile.intake.batches_split")
            .with_unit("{batch}")
            .with_description("Batches that were rejected and written row by row")
            .build(),
        away: meter
            .u64_gauge("domicile.intake.database_away")
            .with_description("1 while the database does not answer and Zoom is told to come again")
            .build(),
        in_quarantine: meter
            .i64_gauge("domicile.intake.quarantine.rows")
            .with_unit("{row}")
            .with_description("Rows in quarantine, by reason")
            .build(),
        silence_seconds: meter
            .f64_gauge("domicile.intake.silence")
            .with_unit("s")
            .with_description("How long ago Zoom was last heard of, by endpoint and kind. It sends a challenge every 72 hours and disables a subscription after six in vain")
            .build(),
        deleted: meter
            .u64_counter("domicile.intake.deleted")
            .with_unit("{row}")
            .with_description("Rows whose time was over, by status")
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
    /// Counts a verified request by what became of it.
    pub(crate) fn received(&self, endpoint: Endpoint, kept: &Result<Kept, IntakeError>) {
        let outcome = match kept {
            Ok(kept) => kept.as_str(),
            Err(IntakeError::Full) => QUEUE_FULL,
            Err(IntakeError::Away) => DATABASE_AWAY,
            Err(_) => FAILED,
        };
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

    /// A batch of so many rows is about to be written; the oldest has waited this long.
    pub(crate) fn batch(&self, rows: usize, oldest: Option<Duration>) {
        self.batch_rows.record(rows as u64, &[]);
        if let Some(oldest) = oldest {
            self.queue_seconds.record(oldest.as_secs_f64(), &[]);
        }
    }

    pub(crate) fn queued(&self, (requests, bytes): (usize, usize)) {
        self.queued_requests.record(requests as u64, &[]);
        self.queued_bytes.record(bytes as u64, &[]);
    }

    pub(crate) fn committed(&self, taken: Duration) {
        self.commit_seconds.record(taken.as_secs_f64(), &[]);
    }

    pub(crate) fn split(&self) {
        self.split.add(1, &[]);
    }

    pub(crate) fn away(&self, away: bool) {
        self.away.record(u64::from(away), &[]);
    }

    /// What is in quarantine; reasons that are not named have nothing there.
    pub(crate) fn in_quarantine(&self, rows: &[(String, i64)]) {
        for reason in QuarantineReason::ALL {
            let count = rows.iter().find(|(name, _)| name == reason.as_str());
            let attributes = [KeyValue::new("reason", reason.as_str())];
            self.in_quarantine
                .record(count.map_or(0, |(_, count)| *count), &attributes);
        }
    }

    pub(crate) fn silence(&self, endpoint: String, kind: String, seconds: f64) {
        let attributes = [KeyValue::new("endpoint", endpoint), KeyValue::new("kind", kind)];
        self.silence_seconds.record(seconds, &attributes);
    }

    pub(crate) fn deleted(&self, status: &'static str, rows: usize) {
        self.deleted.add(rows as u64, &[KeyValue::new("status", status)]);
    }

    /// Shows every counter from the start, so that a rate has a zero to begin at.
    pub(crate) fn start_at_zero(&self) {
        for endpoint in [Endpoint::Events, Endpoint::Bot] {
            for outcome in [
                Kept::New.as_str(),
                Kept::Duplicate.as_str(),
                QUEUE_FULL,
                DATABASE_AWAY,
                FAILED,
            ] {
                self.received.add(
                    0,
                    &[
                        KeyValue::new("endpoint", endpoint.as_str()),
                        KeyValue::new("outcome", outcome),
                    ],
                );
            }
        }
        self.split.add(0, &[]);
        self.away.record(0, &[]);
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
