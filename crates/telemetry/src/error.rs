//! Why telemetry could not be started.

use thiserror::Error;

/// A fault of the settings, or a second start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The log filter is not in the form `level` or `target=level,...`.
    #[error("the log filter is not valid; write for example `info` or `info,domicile_recordings=debug`")]
    Filter {
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The log filter names spans or fields.
    #[error(
        "the log filter names a span or a field; it takes levels and targets alone, for example `info,domicile_recordings=debug`"
    )]
    FilterBySpan,
    /// The exporter to the collector could not be made.
    #[error("the OTLP exporter could not be set up")]
    Exporter {
        /// What is missing.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The Prometheus exporter could not be made.
    #[error("the Prometheus exporter could not be set up")]
    Prometheus {
        /// What is wrong.
        source: opentelemetry_sdk::error::OTelSdkError,
    },
    /// The collector of the process's own numbers could not be made.
    #[error("the process's own metrics could not be set up")]
    Process {
        /// What is wrong.
        source: prometheus::Error,
    },
    /// Export needs a runtime to send from, and there is none.
    #[error("telemetry with a collector has to be started inside a tokio runtime")]
    NoRuntime,
    /// The process has telemetry already.
    #[error("telemetry was started before")]
    AlreadyStarted,
}
