//! Log lines as JSON, one object a line.
//!
//! Every request writes one, so nothing here builds a value first: members go straight into the line.

use std::error::Error;
use std::fmt::{self, Write};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::trace_ids;

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

/// The fields of a span, each as a comma and a JSON member; one that is recorded later is added at the end.
pub(crate) struct JsonMembers;

impl<'w> FormatFields<'w> for JsonMembers {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut members = Members::new(writer, &["name"]);
        fields.record(&mut members);
        members.result
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

/// Writes `timestamp`, `level`, `target`, `message`, then `trace_id` and `span_id` inside a trace, then the event's
/// fields, then the innermost `span` with its name and fields. Control characters are escaped, so that no value can
/// begin a line of its own.
pub(crate) struct JsonLines;

impl<S> FormatEvent<S, JsonMembers> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonMembers>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut others = String::with_capacity(512);
        let mut fields = Members::new(&mut others, &RESERVED);
        event.record(&mut fields);
        let Members {
            message,
            log_target,
            result,
            ..
        } = fields;
        result?;
        let metadata = event.metadata();

        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "\",\"level\":\"{}\",\"target\":\"", metadata.level())?;
        escape(&mut writer, log_target.as_deref().unwrap_or(metadata.target()))?;
        writer.write_str("\",\"message\":\"")?;
        escape(&mut writer, &message)?;
        writer.write_char('"')?;
        let current = context.lookup_current();
        let ids = current.as_ref().and_then(trace_ids::of);
        let trace = ids.unwrap_or_else(|| Context::current().span().span_context().clone());
        if trace.is_valid() {
            let (trace_id, span_id) = (trace.trace_id(), trace.span_id());
            write!(writer, ",\"trace_id\":\"{trace_id}\",\"span_id\":\"{span_id}\"")?;
        }
        writer.write_str(&others)?;
        if let Some(span) = current {
            writer.write_str(",\"span\":{\"name\":\"")?;
            escape(&mut writer, span.name())?;
            writer.write_char('"')?;
            if let Some(members) = span.extensions().get::<FormattedFields<JsonMembers>>() {
                writer.write_str(&members.fields)?;
            }
            writer.write_char('}')?;
        }
        writer.write_str("}\n")
    }
}

/// Writes fields as members, but for the message of an event.
struct Members<'a, W> {
    writer: W,
    reserved: &'a [&'a str],
    message: String,
    /// The target of a record that came from the `log` crate.
    log_target: Option<String>,
    result: fmt::Result,
}

impl<'a, W: Write> Members<'a, W> {
    fn new(writer: W, reserved: &'a [&'a str]) -> Self {
        Self {
            writer,
            reserved,
            message: String::new(),
            log_target: None,
            result: Ok(()),
        }
    }

    /// Writes a member whose value `write` writes.
    fn member(&mut self, field: &Field, write: impl FnOnce(&mut W) -> fmt::Result) {
        let name = field.name();
        // Meant for OpenTelemetry alone.
        let elsewhere = name.starts_with("log.") || name.starts_with("otel.");
        if elsewhere || self.result.is_err() {
            return;
        }
        let end = if self.reserved.contains(&name) {
            "_\":"
        } else {
            "\":"
        };
        self.result = self
            .writer
            .write_str(",\"")
            .and_then(|()| escape(&mut self.writer, name))
            .and_then(|()| self.writer.write_str(end))
            .and_then(|()| write(&mut self.writer));
    }

    /// Writes a member that is a text.
    fn text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        match field.name() {
            "message" if self.reserved.contains(&"message") => {
                // Nothing that can be written fails to be written into a text.
                let _ = self.message.write_fmt(text);
            }
            "log.target" => self.log_target = Some(text.to_string()),
            _ => self.member(field, |writer| {
                writer.write_char('"')?;
                Escaping(writer).write_fmt(text)?;
                writer.write_char('"')
            }),
        }
    }

    fn plain(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == "message" && self.reserved.contains(&"message") {
            self.text(field, value);
        } else {
            self.member(field, |writer| writer.write_fmt(value));
        }
    }
}

impl<W: Write> Visit for Members<'_, W> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no other numbers.
        if value.is_finite() {
            self.plain(field, format_args!("{value:?}"));
        } else {
            self.plain(field, format_args!("null"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, format_args!("{value}"));
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

/// Escapes what is written through it.
struct Escaping<'a, W>(&'a mut W);

impl<W: Write> Write for Escaping<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text)
    }
}

/// Stands for itself in a JSON string.
fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\' && byte != 0x7f
}

/// Writes the text as the inside of a JSON string (RFC 8259 section 7).
fn escape(writer: &mut impl Write, text: &str) -> fmt::Result {
    // Nearly every text is plain; without a branch for each byte the compiler looks at many bytes at once.
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        return writer.write_str(text);
    }
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        // All others are one byte long, so the text is only cut between characters.
        if is_plain(byte) {
            continue;
        }
        writer.write_str(text.get(plain_from..at).unwrap_or_default())?;
        match byte {
            b'"' => writer.write_str("\\\"")?,
            b'\\' => writer.write_str("\\\\")?,
            b'\n' => writer.write_str("\\n")?,
            b'\r' => writer.write_str("\\r")?,
            b'\t' => writer.write_str("\\t")?,
            _ => write!(writer, "\\u{byte:04x}")?,
        }
        plain_from = at + 1;
    }
    writer.write_str(text.get(plain_from..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_comes_back_from_its_json(text in any::<String>()) {
            let mut json = String::from("\"");
            escape(&mut json, &text).unwrap();
            json.push('"');
            prop_assert!(!json.chars().any(char::is_control) || text.chars().any(|c| c.is_control() && !c.is_ascii()));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
