//! Log lines as JSON, one object a line.

use std::error::Error;
use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The members that every line has or may have; fields of these names are written with a trailing `_`.
const RESERVED: [&str; 7] = [
    "timestamp",
    "level",
    "target",
    "message",
    "trace_id",
    "span_id",
    "span",
];

/// Writes `timestamp`, `level`, `target`, `message`, then `trace_id` and `span_id` inside a trace, then the event's
/// fields, then the innermost `span` with its name and fields. Control characters are escaped, so that no value can
/// begin a line of its own.
pub(crate) struct JsonLines;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let target = fields.log_target.as_deref().unwrap_or(metadata.target());

        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "\",\"level\":\"{}\"", metadata.level())?;
        member(&mut writer, "target", &target.into())?;
        member(&mut writer, "message", &fields.message.into())?;
        let otel = Context::current();
        let trace = otel.span().span_context().clone();
        if trace.is_valid() {
            write!(
                writer,
                ",\"trace_id\":\"{}\",\"span_id\":\"{}\"",
                trace.trace_id(),
                trace.span_id()
            )?;
        }
        for (name, value) in &fields.others {
            member(&mut writer, name, value)?;
        }
        if let Some(span) = context.lookup_current() {
            writer.write_str(",\"span\":{\"name\":")?;
            write!(writer, "{}", Value::from(span.name()))?;
            let extensions = span.extensions();
            // `JsonFields` has written an object already.
            if let Some(inner) = extensions
                .get::<FormattedFields<JsonFields>>()
                .and_then(|fields| fields.fields.strip_prefix('{')?.strip_suffix('}'))
                .filter(|inner| !inner.is_empty())
            {
                write!(writer, ",{inner}")?;
            }
            writer.write_char('}')?;
        }
        writer.write_str("}\n")
    }
}

fn member(writer: &mut Writer<'_>, name: &str, value: &Value) -> fmt::Result {
    write!(writer, ",{}:{value}", Value::from(name))
}

/// The fields of one event.
#[derive(Default)]
struct Fields {
    message: String,
    /// The target of a record that came from the `log` crate.
    log_target: Option<String>,
    others: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            ("log.target", Value::String(text)) => self.log_target = Some(text),
            (name, _) if name.starts_with("log.") => {}
            (name, value) if RESERVED.contains(&name) => {
                self.others.insert(format!("{name}_"), value);
            }
            (name, value) => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
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
        self.add(field, text.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }
}
