//! What a test asserts of logs, spans and metrics.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use opentelemetry::global;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use serde_json::Value;
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::start::{json_lines, log_filter, spans};

/// Begins to collect what the current thread logs and traces, and what the process counts, until the returned value is
/// dropped. Call it before anything makes instruments.
///
/// Logs and spans are the thread's own, so tests may run side by side: a `#[tokio::test]` has one thread, tasks that go
/// to others take [`Capture::dispatch`] along. Metrics are the process's; nextest gives each test a process, elsewhere
/// tests that assert the same series must use attributes of their own.
pub fn capture() -> Capture {
    Capture::begin()
}

/// What was collected since [`capture`].
pub struct Capture {
    lines: Lines,
    tracers: SdkTracerProvider,
    spans: InMemorySpanExporter,
    before: Vec<Point>,
    dispatch: Dispatch,
    _current: DefaultGuard,
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedSpan {
    /// Its name, after `otel.name`.
    pub name: String,
    /// Its attributes as text.
    pub attributes: BTreeMap<String, String>,
    /// Its status: `Unset`, `Ok` or `Error`.
    pub status: String,
    /// The id of its trace in hexadecimal digits.
    pub trace_id: String,
    /// Its own id in hexadecimal digits.
    pub span_id: String,
    /// The id of the span that it is in; zeros for the first of a trace.
    pub parent_span_id: String,
}

impl Capture {
    fn begin() -> Self {
        let before = Meters::get().points();
        let lines = Lines::default();
        let spans_exporter = InMemorySpanExporter::default();
        let tracers = SdkTracerProvider::builder()
            .with_simple_exporter(spans_exporter.clone())
            .build();
        let writer = lines.clone();
        // The filter is a literal; if it were not valid, everything would be logged.
        let filter = log_filter("info,domicile=trace").ok();
        let dispatch = Dispatch::new(
            tracing_subscriber::registry()
                .with(spans(&tracers))
                .with(json_lines(move || writer.clone()).with_filter(filter)),
        );
        Self {
            lines,
            tracers,
            spans: spans_exporter,
            before,
            _current: tracing::dispatcher::set_default(&dispatch),
            dispatch,
        }
    }

    /// The collecting subscriber, for `tracing::instrument::WithSubscriber` on tasks that run on other threads.
    pub fn dispatch(&self) -> Dispatch {
        self.dispatch.clone()
    }

    /// The log lines, as the JSON format writes them.
    pub fn logs(&self) -> Vec<Value> {
        self.log_text()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The log lines whose message is this.
    pub fn logs_of(&self, message: &str) -> Vec<Value> {
        let mut logs = self.logs();
        logs.retain(|line| line["message"] == message);
        logs
    }

    /// The log lines as they were written.
    pub fn log_text(&self) -> String {
        self.lines.text()
    }

    /// The spans that have ended, in the order of their ends.
    pub fn spans(&self) -> Vec<CapturedSpan> {
        let _ = self.tracers.force_flush();
        let ended = self.spans.get_finished_spans().unwrap_or_default();
        ended
            .into_iter()
            .map(|span| CapturedSpan {
                name: span.name.to_string(),
                attributes: span
                    .attributes
                    .iter()
                    .map(|pair| (pair.key.to_string(), pair.value.to_string()))
                    .collect(),
                status: match span.status {
                    opentelemetry::trace::Status::Unset => "Unset".to_owned(),
                    opentelemetry::trace::Status::Ok => "Ok".to_owned(),
                    opentelemetry::trace::Status::Error { .. } => "Error".to_owned(),
                },
                trace_id: span.span_context.trace_id().to_string(),
                span_id: span.span_context.span_id().to_string(),
                parent_span_id: span.parent_span_id.to_string(),
            })
            .collect()
    }

    /// By how much a counter (or up-down counter) has grown, over all series that have these attributes.
    pub fn counter(&self, name: &str, attributes: &[(&str, &str)]) -> f64 {
        self.grown(name, attributes, |point| point.sum)
    }

    /// How many values a histogram has recorded, over all series that have these attributes.
    pub fn histogram_count(&self, name: &str, attributes: &[(&str, &str)]) -> u64 {
        let now = Meters::get().points();
        let count = |points: &[Point]| -> u64 {
            points
                .iter()
                .filter(|point| point.is(name, attributes))
                .map(|point| point.count)
                .sum()
        };
        count(&now).saturating_sub(count(&self.before))
    }

    /// The sum of the values that a histogram has recorded, over all series that have these attributes.
    pub fn histogram_sum(&self, name: &str, attributes: &[(&str, &str)]) -> f64 {
        self.grown(name, attributes, |point| point.sum)
    }

    /// The value of a gauge; `None` if no series has these attributes.
    pub fn gauge(&self, name: &str, attributes: &[(&str, &str)]) -> Option<f64> {
        let points = Meters::get().points();
        points
            .iter()
            .rfind(|point| point.is(name, attributes))
            .map(|point| point.sum)
    }

    /// True when there is a series of this name with these attributes, be it at zero.
    pub fn has_metric(&self, name: &str, attributes: &[(&str, &str)]) -> bool {
        self.gauge(name, attributes).is_some()
    }

    /// Logs, spans with their events, and metrics as one text, to assert that a secret is nowhere in it (INV-3).
    pub fn everything(&self) -> String {
        let mut text = self.log_text();
        let _ = self.tracers.force_flush();
        let _ = write!(text, "{:?}", self.spans.get_finished_spans().unwrap_or_default());
        let _ = write!(text, "{:?}", Meters::get().points());
        text
    }

    fn grown(&self, name: &str, attributes: &[(&str, &str)], value: impl Fn(&Point) -> f64) -> f64 {
        let now = Meters::get().points();
        let sum = |points: &[Point]| -> f64 {
            points
                .iter()
                .filter(|point| point.is(name, attributes))
                .map(&value)
                .sum()
        };
        sum(&now) - sum(&self.before)
    }
}

/// The value of one series.
#[derive(Debug, Clone)]
struct Point {
    name: String,
    attributes: BTreeMap<String, String>,
    /// A counter's or histogram's sum, a gauge's value.
    sum: f64,
    /// How many values a histogram has; 0 for the others.
    count: u64,
}

impl Point {
    fn is(&self, name: &str, attributes: &[(&str, &str)]) -> bool {
        self.name == name
            && attributes
                .iter()
                .all(|(key, value)| self.attributes.get(*key).is_some_and(|own| own == value))
    }
}

/// The process's meters, of which there can be one set only.
struct Meters {
    provider: SdkMeterProvider,
    exporter: Mutex<InMemoryMetricExporter>,
}

impl Meters {
    fn get() -> &'static Self {
        static METERS: OnceLock<Meters> = OnceLock::new();
        METERS.get_or_init(|| {
            let exporter = InMemoryMetricExporter::default();
            let provider = SdkMeterProvider::builder()
                .with_reader(PeriodicReader::builder(exporter.clone()).build())
                .build();
            global::set_meter_provider(provider.clone());
            global::set_text_map_propagator(TraceContextPropagator::new());
            Self {
                provider,
                exporter: Mutex::new(exporter),
            }
        })
    }

    fn points(&self) -> Vec<Point> {
        let exporter = lock(&self.exporter);
        exporter.reset();
        let _ = self.provider.force_flush();
        exporter
            .get_finished_metrics()
            .unwrap_or_default()
            .last()
            .map(points)
            .unwrap_or_default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "tests count no further than 2^53")]
fn points(metrics: &ResourceMetrics) -> Vec<Point> {
    let mut points = Vec::new();
    for metric in metrics.scope_metrics().flat_map(ScopeMetrics::metrics) {
        macro_rules! read {
            ($data:expr) => {
                match $data {
                    MetricData::Gauge(gauge) => gauge
                        .data_points()
                        .for_each(|p| points.push(point(metric.name(), p.attributes(), p.value() as f64, 0))),
                    MetricData::Sum(sum) => sum
                        .data_points()
                        .for_each(|p| points.push(point(metric.name(), p.attributes(), p.value() as f64, 0))),
                    MetricData::Histogram(histogram) => histogram.data_points().for_each(|p| {
                        points.push(point(
                            metric.name(),
                            p.attributes(),
                            p.sum() as f64,
                            p.count(),
                        ))
                    }),
                    MetricData::ExponentialHistogram(histogram) => histogram.data_points().for_each(|p| {
                        points.push(point(
                            metric.name(),
                            p.attributes(),
                            p.sum() as f64,
                            p.count() as u64,
                        ))
                    }),
                }
            };
        }
        match metric.data() {
            AggregatedMetrics::F64(data) => read!(data),
            AggregatedMetrics::U64(data) => read!(data),
            AggregatedMetrics::I64(data) => read!(data),
        }
    }
    points
}

fn point<'a>(
    name: &str,
    attributes: impl Iterator<Item = &'a opentelemetry::KeyValue>,
    sum: f64,
    count: u64,
) -> Point {
    Point {
        name: name.to_owned(),
        attributes: attributes
            .map(|pair| (pair.key.to_string(), pair.value.to_string()))
            .collect(),
        sum,
        count,
    }
}

/// Where the log lines go.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// What was written.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.0)).into_owned()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A test that failed while it held the lock does not fail the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
