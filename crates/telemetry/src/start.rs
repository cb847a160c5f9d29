//! Start and stop.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use domicile_kernel::RegionId;
use opentelemetry::logs::LoggerProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{
    LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry as Spans};
use url::Url;

use crate::error::TelemetryError;
use crate::format::{JsonLines, JsonMembers};
use crate::logs::ExportedLogs;
use crate::otlp::{OnRuntime, signal};
use crate::panics;
use crate::trace_ids::TraceIds;

/// How long one batch may take to reach the collector.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// What telemetry says of this process, and where to.
pub struct TelemetrySettings {
    /// The resource attribute `service.name`.
    pub service_name: String,
    /// The resource attribute `service.version`.
    pub service_version: String,
    /// The resource attribute `service.instance.id`: tells the replicas apart at the collector. Random, never a host name.
    pub instance_id: String,
    /// The resource attribute `domicile.region`, and the label `region` of every series of the scrape.
    pub region: RegionId,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged, such as `info` or `info,domicile_recordings=debug`. Crates that are not ours are never logged
    /// below `info`: their debug lines show headers and SQL.
    pub log_filter: String,
    /// The region's own collector (OTLP over HTTP, its base URL) and the client that reaches it; `None`: no export.
    pub otlp: Option<(Url, Arc<dyn HttpClient>)>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// Text, for people; coloured on a terminal.
    Text,
}

/// The running telemetry of the process.
pub struct Telemetry {
    tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    loggers: Option<SdkLoggerProvider>,
    registry: Registry,
}

/// Says whether a log filter is valid, for a check of all settings that starts nothing.
pub fn check_log_filter(text: &str) -> Result<(), TelemetryError> {
    log_filter::<Spans>(text).map(|_| ())
}

/// Starts logs (to standard output), spans and metrics, sets the W3C trace context propagator and replaces the panic
/// hook. Everything is process-wide, so this is called once, before anything that makes instruments. With a collector it
/// has to run inside a tokio runtime.
pub fn start(settings: TelemetrySettings) -> Result<Telemetry, TelemetryError> {
    let filter = log_filter(&settings.log_filter)?;
    let resource = resource(&settings);
    let registry = registry(&settings.region)?;
    let prometheus = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .build()
        .map_err(|source| TelemetryError::Prometheus { source })?;
    let collected = settings.otlp.is_some();
    let mut tracers = SdkTracerProvider::builder().with_resource(resource.clone());
    let mut meters = SdkMeterProvider::builder()
        .with_resource(resource.clone())
        .with_reader(prometheus);
    let mut loggers = None;
    if let Some((endpoint, client)) = settings.otlp {
        let runtime = Handle::try_current().map_err(|_| TelemetryError::NoRuntime)?;
        let client = || OnRuntime {
            runtime: runtime.clone(),
            client: client.clone(),
        };
        let spans = SpanExporter::builder()
            .with_http()
            .with_http_client(client())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(signal(&endpoint, "v1/traces"))
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|source| TelemetryError::Exporter { source })?;
        let metrics = MetricExporter::builder()
            .with_http()
            .with_http_client(client())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(signal(&endpoint, "v1/metrics"))
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|source| TelemetryError::Exporter { source })?;
        let logs = LogExporter::builder()
            .with_http()
            .with_http_client(client())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(signal(&endpoint, "v1/logs"))
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|source| TelemetryError::Exporter { source })?;
        let provider = SdkLoggerProvider::builder()
            .with_resource(resource)
            .with_batch_exporter(logs)
            .build();
        loggers = Some(provider);
        tracers = tracers.with_batch_exporter(spans);
        meters = meters.with_reader(PeriodicReader::builder(metrics).build());
    }
    let telemetry = Telemetry {
        tracers: tracers.build(),
        meters: meters.build(),
        loggers,
        registry,
    };
    let exported_logs = match &telemetry.loggers {
        Some(loggers) => Some(exported_logs(loggers, &settings.log_filter)?),
        None => None,
    };
    let lines = match settings.log_format {
        LogFormat::Json => json_lines(std::io::stdout).boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_ansi(std::io::stdout().is_terminal())
            .boxed(),
    };
    Spans::default()
        .with(collected.then(|| spans(&telemetry.tracers)))
        .with(exported_logs)
        .with(if collected {
            lines.with_filter(filter).boxed()
        } else {
            with_ids(lines, filter).boxed()
        })
        .try_init()
        .map_err(|_| TelemetryError::AlreadyStarted)?;
    global::set_tracer_provider(telemetry.tracers.clone());
    global::set_meter_provider(telemetry.meters.clone());
    global::set_text_map_propagator(TraceContextPropagator::new());
    panics::install();
    Ok(telemetry)
}

impl Telemetry {
    /// All metrics in Prometheus' text format, for the ops listener's `/metrics`.
    pub fn prometheus_text(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_else(|error| {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "metrics could not be written as text"
                );
                String::new()
            })
    }

    /// Sends what is left to the collector and stops. Call it last, inside the runtime that was there at the start.
    pub async fn shutdown(self) {
        let Self {
            tracers,
            meters,
            loggers,
            ..
        } = self;
        // Both wait for threads which wait for the runtime, so neither may hold up one of its workers.
        let stopped = tokio::task::spawn_blocking(move || {
            (
                tracers.shutdown_with_timeout(EXPORT_TIMEOUT),
                meters.shutdown_with_timeout(EXPORT_TIMEOUT),
                loggers.map_or(Ok(()), |loggers| loggers.shutdown_with_timeout(EXPORT_TIMEOUT)),
            )
        });
        if !matches!(stopped.await, Ok((Ok(()), Ok(()), Ok(())))) {
            tracing::warn!("the last spans, metrics or logs did not reach the collector");
        }
    }
}

/// The registry of the scrape: each of its series says which region it is of, the process's own too.
fn registry(region: &RegionId) -> Result<Registry, TelemetryError> {
    let labels = HashMap::from([("region".to_owned(), region.as_str().to_owned())]);
    let process = |source| TelemetryError::Process { source };
    let registry = Registry::new_custom(None, Some(labels)).map_err(process)?;
    // It reads `/proc`.
    #[cfg(target_os = "linux")]
    registry
        .register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))
        .map_err(process)?;
    Ok(registry)
}

/// These attributes, and what the operator adds by `OTEL_RESOURCE_ATTRIBUTES`, such as the pod's name: nothing is read
/// from the machine.
fn resource(settings: &TelemetrySettings) -> Resource {
    Resource::builder_empty()
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_attributes([
            KeyValue::new("service.name", settings.service_name.clone()),
            KeyValue::new("service.version", settings.service_version.clone()),
            KeyValue::new("service.instance.id", settings.instance_id.clone()),
            KeyValue::new("domicile.region", settings.region.as_str().to_owned()),
        ])
        .build()
}

/// The layer that makes OpenTelemetry spans of ours, at `info` and above. The export's own events are left out.
pub(crate) fn spans<S>(tracers: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracers.tracer("domicile"))
        .with_threads(false)
        .with_location(false)
        .with_filter(
            filter_fn(|metadata: &Metadata<'_>| {
                // An ordinary event is in the log with the ids of its trace; copied into each span it would cost every request.
                let limit = if metadata.is_span() {
                    Level::INFO
                } else {
                    Level::WARN
                };
                *metadata.level() <= limit && !metadata.target().starts_with("opentelemetry")
            })
            .with_max_level_hint(LevelFilter::INFO),
        )
}

/// The lines, in whose spans are ids that no layer of OpenTelemetry makes. One filter for both, which is settled for each call site:
/// asking two of them about every span and line costs more than the ids.
pub(crate) fn with_ids<S>(
    lines: impl Layer<S> + Send + Sync,
    filter: impl Filter<S> + Send + Sync + 'static,
) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let spans_of_traces = filter_fn(TraceIds::wants).with_max_level_hint(LevelFilter::INFO);
    TraceIds.and_then(lines).with_filter(filter.or(spans_of_traces))
}

/// The layer that sends what is logged to the collector too: the same lines, but for the export's own.
fn exported_logs<S>(
    loggers: &SdkLoggerProvider,
    filter: &str,
) -> Result<impl Layer<S> + use<S>, TelemetryError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let not_of_the_export =
        filter_fn(|metadata: &Metadata<'_>| !metadata.target().starts_with("opentelemetry"))
            .with_max_level_hint(LevelFilter::TRACE);
    let layer = ExportedLogs::new(loggers.logger("domicile"));
    Ok(layer.with_filter(log_filter(filter)?.and(not_of_the_export)))
}

/// The layer that writes JSON lines.
pub(crate) fn json_lines<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .fmt_fields(JsonMembers)
        .event_format(JsonLines)
        .with_writer(writer)
}

pub(crate) fn log_filter<S: Subscriber>(text: &str) -> Result<impl Filter<S> + use<S>, TelemetryError> {
    if text.contains(['[', '{']) {
        return Err(TelemetryError::FilterBySpan);
    }
    // Without filters by span, what is wanted is known of each call site, and no line or span is looked at for it.
    let wanted: Targets = text.parse().map_err(|source| TelemetryError::Filter { source })?;
    let ours_or_important = filter_fn(|metadata: &Metadata<'_>| {
        *metadata.level() <= Level::INFO || metadata.target().starts_with("domicile")
    })
    // Without a hint from each, other crates' debug lines would be made and then thrown away.
    .with_max_level_hint(LevelFilter::TRACE);
    Ok(wanted.and(ours_or_important))
}
