//! What this crate counts.

use std::time::Duration;

use domicile_zoom::signature::Verified;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};
use opentelemetry::{KeyValue, global};

const VERIFIED: &str = "verified";
const CHALLENGE_ANSWERED: &str = "challenge_answered";

/// Why a request of Zoom's was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Missing,
    Duplicated,
    Malformed,
    Mismatch,
    Stale,
    Future,
    PlainToken,
    TooLarge,
    Encoded,
    BodyLost,
    NoRoom,
    RequiredHeader,
    TurnedAway,
}

impl Refusal {
    const ALL: [Self; 13] = [
        Self::Missing,
        Self::Duplicated,
        Self::Malformed,
        Self::Mismatch,
        Self::Stale,
        Self::Future,
        Self::PlainToken,
        Self::TooLarge,
        Self::Encoded,
        Self::BodyLost,
        Self::NoRoom,
        Self::RequiredHeader,
        Self::TurnedAway,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "signature_missing",
            Self::Duplicated => "header_duplicated",
            Self::Malformed => "header_malformed",
            Self::Mismatch => "signature_mismatch",
            Self::Stale => "stale",
            Self::Future => "future",
            Self::PlainToken => "plain_token",
            Self::TooLarge => "too_large",
            Self::Encoded => "encoded",
            Self::BodyLost => "body_lost",
            Self::NoRoom => "no_room",
            Self::RequiredHeader => "required_header",
            Self::TurnedAway => "turned_away",
        }
    }
}

/// The instruments of this crate.
#[derive(Clone)]
pub(crate) struct Metrics {
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
    panics: Counter<u64>,
    zoom_requests: Counter<u64>,
    zoom_age: Histogram<f64>,
}

impl Metrics {
    /// On the meter provider that `telemetry` has set.
    pub(crate) fn global() -> Self {
        Self::new(&global::meter("domicile.web"))
    }

    fn new(meter: &Meter) -> Self {
        let panics = meter
            .u64_counter("domicile.http.panics")
            .with_unit("{panic}")
            .with_description("Handlers that panicked; each was answered with 500")
            .build();
        panics.add(0, &[]);
        Self {
            // Name, unit, boundaries: OpenTelemetry HTTP server semantic conventions.
            duration: meter
                .f64_histogram("http.server.request.duration")
                .with_unit("s")
                .with_description("Time until the head of the answer was ready")
                .with_boundaries(vec![
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
                ])
                .build(),
            active: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_unit("{request}")
                .with_description("Requests that are being answered")
                .build(),
            panics,
            zoom_requests: meter
                .u64_counter("domicile.zoom.requests")
                .with_unit("{request}")
                .with_description("Requests on Zoom's endpoints, by what their verification came to and which secret matched")
                .build(),
            zoom_age: meter
                .f64_histogram("domicile.zoom.signature.age")
                .with_unit("s")
                .with_description("Age of verified signatures; it tells whether Zoom signs its retries anew")
                .with_boundaries(vec![0.0, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 5700.0])
                .build(),
        }
    }

    /// Shows every outcome on Zoom's endpoint from the start, so that a rate has a zero to begin at.
    pub(crate) fn start_at_zero(&self, endpoint: &'static str) {
        let outcomes = Refusal::ALL.map(Refusal::as_str);
        for outcome in outcomes.into_iter().chain([CHALLENGE_ANSWERED]) {
            self.count(endpoint, outcome, 0);
        }
        let labels = [
            KeyValue::new("endpoint", endpoint),
            KeyValue::new("outcome", VERIFIED),
            KeyValue::new("secret", 0),
        ];
        self.zoom_requests.add(0, &labels);
    }

    pub(crate) fn verified(&self, endpoint: &'static str, verified: Verified) {
        self.zoom_requests.add(
            1,
            &[
                KeyValue::new("endpoint", endpoint),
                KeyValue::new("outcome", VERIFIED),
                KeyValue::new("secret", i64::try_from(verified.secret_index).unwrap_or(-1)),
            ],
        );
        // A signature from the near future has no age.
        let age = u32::try_from(verified.age_seconds).unwrap_or(0);
        self.zoom_age
            .record(f64::from(age), &[KeyValue::new("endpoint", endpoint)]);
    }

    pub(crate) fn challenged(&self, endpoint: &'static str) {
        self.count(endpoint, CHALLENGE_ANSWERED, 1);
    }

    pub(crate) fn refused(&self, endpoint: &'static str, refusal: Refusal) {
        self.count(endpoint, refusal.as_str(), 1);
    }

    fn count(&self, endpoint: &'static str, outcome: &'static str, requests: u64) {
        self.zoom_requests.add(
            requests,
            &[
                KeyValue::new("endpoint", endpoint),
                KeyValue::new("outcome", outcome),
            ],
        );
    }

    pub(crate) fn began(&self, attributes: &[KeyValue]) {
        self.active.add(1, attributes);
    }

    pub(crate) fn ended(&self, attributes: &[KeyValue]) {
        self.active.add(-1, attributes);
    }

    pub(crate) fn answered(&self, taken: Duration, attributes: &[KeyValue]) {
        self.duration.record(taken.as_secs_f64(), attributes);
    }

    pub(crate) fn panicked(&self) {
        self.panics.add(1, &[]);
    }
}
