//! The room's metrics.

use std::sync::LazyLock;

use domicile_kernel::state::{RecordingStatus, TextState};
use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};

pub(crate) struct RecordingsMetrics {
    files: Counter<u64>,
    bytes: Counter<u64>,
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
    pub(crate) fn stored(&self, size_bytes: u64) {
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

    pub(crate) fn ended(&self, status: RecordingStatus) {
        self.ended.add(1, &[KeyValue::new("status", status.as_str())]);
    }

    pub(crate) fn merged(&self, outcome: &'static str) {
        self.merges.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}
