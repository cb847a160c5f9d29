//! Log lines on their way to the region's own collector.

use std::error::Error;
use std::fmt::{self, Write as _};

use opentelemetry::logs::{AnyValue, LogRecord, Logger, Severity};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Makes an OpenTelemetry log record of each event: what the line on standard output says, with the ids of the span that
/// it is in, which the SDK takes from the current context.
pub(crate) struct ExportedLogs {
    logger: SdkLogger,
}

impl ExportedLogs {
    pub(crate) fn new(logger: SdkLogger) -> Self {
        Self { logger }
    }
}

impl<S: Subscriber> Layer<S> for ExportedLogs {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut record = self.logger.create_log_record();
        record.set_target(metadata.target());
        record.set_severity_number(severity(*metadata.level()));
        record.set_severity_text(metadata.level().as_str());
        let mut fields = Fields {
            record: &mut record,
            message: String::new(),
        };
        event.record(&mut fields);
        let message = fields.message;
        record.set_body(AnyValue::from(message));
        self.logger.emit(record);
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warn,
        Level::INFO => Severity::Info,
        Level::DEBUG => Severity::Debug,
        Level::TRACE => Severity::Trace,
    }
}

/// Writes an event's fields into the record.
struct Fields<'a> {
    record: &'a mut SdkLogRecord,
    message: String,
}

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: impl Into<AnyValue>) {
        match field.name() {
            // Said of a record of the `log` crate, or meant for spans alone.
            name if name.starts_with("log.") || name.starts_with("otel.") => {}
            name => self.record.add_attribute(name, value),
        }
    }

    fn text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        match field.name() {
            "message" => {
                // Nothing that can be written fails to be written into a text.
                let _ = self.message.write_fmt(text);
            }
            "log.target" => self.record.set_target(text.to_string()),
            _ => self.add(field, text.to_string()),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.add(field, value),
            // OTLP has no larger whole numbers.
            Err(_) => self.text(field, format_args!("{value}")),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    /// An error with its causes; Display never repeats its source, so the chain is written here.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        self.text(field, format_args!("{text}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}
