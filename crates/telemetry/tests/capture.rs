//! What a test can see, and how log lines look.
#![cfg(test)]

use std::error::Error;
use std::fmt;

use domicile_telemetry::{check_log_filter, testing};
use opentelemetry::{KeyValue, global};
use proptest::prelude::*;
use serde_json::Value;
use tracing::{debug, error, info, info_span, trace, warn};

#[derive(Debug)]
struct Outer(Inner);

#[derive(Debug)]
struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the file could not be stored")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the disk is full")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl Error for Inner {}

#[test]
fn a_line_has_time_level_target_message_fields_and_its_trace() {
    let capture = testing::capture();
    info_span!("fetch", file.id = "f-1", size_bytes = tracing::field::Empty).in_scope(|| {
        tracing::Span::current().record("size_bytes", 7);
        info!(
            link.id = "l-1",
            taken_ms = 5_u64,
            whole = true,
            level = "high",
            error = &Outer(Inner) as &dyn Error,
            "the file was fetched"
        );
    });
    warn!("outside");

    let line = &capture.logs_of("the file was fetched")[0];
    let time = line["timestamp"].as_str().unwrap();
    assert!(
        time.len() == 27 && time.ends_with('Z') && &time[10..11] == "T",
        "{time}"
    );
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["target"], "capture");
    assert_eq!(line["link.id"], "l-1");
    assert_eq!(line["taken_ms"], 5);
    assert_eq!(line["whole"], true);
    assert_eq!(line["level_"], "high");
    assert_eq!(line["error"], "the file could not be stored: the disk is full");
    assert_eq!(
        line["span"],
        serde_json::json!({"name": "fetch", "file.id": "f-1", "size_bytes": 7})
    );

    let span = &capture.spans()[0];
    assert_eq!(span.name, "fetch");
    assert_eq!(span.attributes["file.id"], "f-1");
    assert_eq!(line["trace_id"], span.trace_id.as_str());
    assert_eq!(line["span_id"], span.span_id.as_str());

    let outside = &capture.logs_of("outside")[0];
    assert_eq!(outside["level"], "WARN");
    assert_eq!(outside.get("trace_id"), None);
    assert_eq!(outside.get("span"), None);
}

#[test]
fn spans_have_parents_and_an_error_as_status() {
    let capture = testing::capture();
    info_span!("outer").in_scope(|| {
        info_span!("inner", otel.name = "GET zoom_api", otel.status_code = "ERROR").in_scope(|| {});
    });
    let spans = capture.spans();
    let [inner, outer] = spans.as_slice() else {
        panic!("{spans:?}")
    };
    assert_eq!(inner.name, "GET zoom_api");
    assert_eq!(inner.status, "Error");
    assert_eq!(inner.parent_span_id, outer.span_id);
    assert_eq!(inner.trace_id, outer.trace_id);
    assert_eq!(outer.parent_span_id, "0000000000000000");
}

#[test]
fn debug_lines_of_other_crates_are_never_written() {
    let capture = testing::capture();
    debug!(target: "h2::proto", "headers: authorization");
    trace!(target: "tokio_postgres", "bind: secret");
    debug!(target: "domicile_zoom", "ours");
    error!(target: "h2::proto", "an error of theirs");
    let messages: Vec<_> = capture
        .logs()
        .iter()
        .map(|line| line["message"].clone())
        .collect();
    assert_eq!(messages, ["ours", "an error of theirs"]);
}

#[test]
fn captures_on_other_threads_see_nothing_of_this_one() {
    let mine = testing::capture();
    let theirs = std::thread::spawn(|| {
        let capture = testing::capture();
        info!("theirs");
        capture.log_text()
    })
    .join()
    .unwrap();
    info!("mine");
    assert!(theirs.contains("theirs") && !theirs.contains("mine"));
    assert!(!mine.log_text().contains("theirs"));
}

#[test]
fn metrics_are_told_apart_by_name_and_attributes_and_counted_from_the_start() {
    let first = testing::capture();
    let meter = global::meter("domicile.telemetry.test");
    let counter = meter.u64_counter("domicile.test.calls").build();
    let histogram = meter.f64_histogram("domicile.test.duration").build();
    let gauge = meter.i64_gauge("domicile.test.depth").build();
    let kind = |value: &'static str| [KeyValue::new("kind", value)];
    counter.add(0, &kind("c"));
    counter.add(2, &kind("a"));
    counter.add(5, &kind("b"));
    histogram.record(0.5, &kind("a"));
    histogram.record(1.0, &kind("a"));
    gauge.record(-3, &[]);

    let near = |left: f64, right: f64| (left - right).abs() < f64::EPSILON;
    assert!(near(first.counter("domicile.test.calls", &[("kind", "a")]), 2.0));
    assert!(near(first.counter("domicile.test.calls", &[]), 7.0));
    assert!(near(first.counter("domicile.test.none", &[]), 0.0));
    assert!(first.has_metric("domicile.test.calls", &[("kind", "c")]));
    assert!(!first.has_metric("domicile.test.calls", &[("kind", "d")]));
    assert_eq!(
        first.histogram_count("domicile.test.duration", &[("kind", "a")]),
        2
    );
    assert!(near(first.histogram_sum("domicile.test.duration", &[]), 1.5));
    assert_eq!(first.gauge("domicile.test.depth", &[]), Some(-3.0));

    let second = testing::capture();
    counter.add(1, &kind("a"));
    assert!(near(second.counter("domicile.test.calls", &[]), 1.0));
    assert!(near(first.counter("domicile.test.calls", &[]), 8.0));
}

#[test]
fn everything_holds_lines_span_events_and_metrics() {
    let capture = testing::capture();
    info_span!("s", a = "in-a-span").in_scope(|| info!(b = "in-a-field", "in-a-message"));
    global::meter("domicile.telemetry.test")
        .u64_counter("in.a.metric")
        .build()
        .add(1, &[KeyValue::new("k", "in-an-attribute")]);
    let everything = capture.everything();
    for text in [
        "in-a-span",
        "in-a-field",
        "in-a-message",
        "in.a.metric",
        "in-an-attribute",
    ] {
        assert!(everything.contains(text), "{text}");
    }
}

#[test]
fn log_filters_are_checked_without_a_start() {
    for valid in ["info", "warn,domicile_zoom=debug", "off"] {
        check_log_filter(valid).unwrap();
    }
    for invalid in [
        "domicile=loud",
        "info,[span]=debug",
        "domicile[span{field=value}]=debug",
    ] {
        assert!(check_log_filter(invalid).is_err(), "{invalid}");
    }
}

proptest! {
    #[test]
    fn no_value_begins_a_line_of_its_own(text in "(?s).{0,40}") {
        let capture = testing::capture();
        info_span!("s", text = text.as_str()).in_scope(|| warn!(text = text.as_str(), "{text}"));
        let written = capture.log_text();
        let lines: Vec<_> = written.split_terminator('\n').collect();
        prop_assert_eq!(lines.len(), 1);
        let line: Value = serde_json::from_str(lines[0]).unwrap();
        prop_assert_eq!(&line["message"], &Value::from(text.as_str()));
        prop_assert_eq!(&line["text"], &Value::from(text.as_str()));
        prop_assert_eq!(&line["span"]["text"], &Value::from(text.as_str()));
    }
}
