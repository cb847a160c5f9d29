//! The room's metrics.

use std::sync::LazyLock;
use std::time::Duration;

use domicile_kernel::state::{RecordingStatus, TextState};
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};

pub(crate) struct RecordingsMetrics {
    files: Counter<u64>,
    bytes: Counter<u64>,
    fetch_seconds: Histogram<f64>,
    completion_seconds: Histogram<f64>,
    fallbacks: Counter<u64>,
    ended: Counter<u64>,
    merges: Counter<u64>,
}

pub(crate) static METRICS: LazyLock<RecordingsMetrics> = LazyLock::new(|| {
    let meter = global::meter("domicile.recordings");
    RecordingsMetrics {
        files: meter
            .u64_counter("domicile.recordings.fetches")
            .with_description("Attempts to fetch a file, by outcome and class of failure")
            .build(),
        bytes: meter
            .u64_counter("domicile.recordings.stored")
            .with_unit("By")
            .with_description("Bytes of files that were stored and verified")
            .build(),
        fetch_seconds: meter
            .f64_histogram("domicile.recordings.fetch.duration")
            .with_unit("s")
            .with_description("How long the attempts took that stored a file, verification included")
            .with_boundaries(vec![
                0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 10_800.0,
            ])
            .build(),
        completion_seconds: meter
            .f64_histogram("domicile.recordings.completion.duration")
            .with_unit("s")
            .with_description(
                "From the latest event of a recording that brought files to the end of its fetching, by the status that it ended with",
            )
            .with_boundaries(vec![
                10.0, 30.0, 60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21_600.0, 86_400.0,
            ])
            .build(),
        fallbacks: meter
            .u64_counter("domicile.recordings.api_fallbacks")
            .with_description("Downloads for which the API was asked for a fresh URL, by reason")
            .build(),
        ended: meter
            .u64_counter("domicile.recordings.ended")
            .with_description("Recordings for which nothing is left to fetch, by status")
            .build(),
        merges: meter
            .u64_counter("domicile.recordings.merges")
            .with_description("Recording events taken over, by outcome")
            .build(),
    }
});

impl RecordingsMetrics {
    /// Shows the counters from the start, so that a rate has a zero to begin at.
    pub(crate) fn start_at_zero(&self) {
        self.files.add(0, &[KeyValue::new("outcome", "stored")]);
        self.bytes.add(0, &[]);
        for outcome in ["merged", "link_gone", "no_files"] {
            self.merges.add(0, &[KeyValue::new("outcome", outcome)]);
        }
        for status in [RecordingStatus::Stored, RecordingStatus::Incomplete] {
            self.ended.add(0, &[KeyValue::new("status", status.as_str())]);
        }
    }

    pub(crate) fn stored(&self, size_bytes: u64, taken: Duration) {
        self.fetch_seconds.record(taken.as_secs_f64(), &[]);
        self.files.add(1, &[KeyValue::new("outcome", "stored")]);
        self.bytes.add(size_bytes, &[]);
    }

    pub(crate) fn fetch_failed(&self, class: &'static str) {
        self.files.add(
            1,
            &[
                KeyValue::new("outcome", "failed"),
                KeyValue::new("error.type", class),
            ],
        );
    }

    pub(crate) fn fallback(&self, reason: &'static str) {
        self.fallbacks.add(1, &[KeyValue::new("reason", reason)]);
    }

    /// Nothing is left to fetch of a recording, so long after the event that brought the last of it.
    pub(crate) fn ended(&self, status: RecordingStatus, after: Duration) {
        let labels = [KeyValue::new("status", status.as_str())];
        self.ended.add(1, &labels);
        self.completion_seconds.record(after.as_secs_f64(), &labels);
    }

    pub(crate) fn merged(&self, outcome: &'static str) {
        self.merges.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}
