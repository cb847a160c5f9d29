//! The telemetry of a whole process. One test, since it can be started once.
#![cfg(test)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domicile_telemetry::{LogFormat, TelemetryError, TelemetrySettings, start, testing};
use opentelemetry::global;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tracing::level_filters::LevelFilter;
use tracing::{info, info_span};

/// A collector that remembers what it was sent, and can be reached from a runtime only.
#[derive(Debug, Default)]
struct Collector(Mutex<Vec<(String, Bytes)>>);

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        tokio::runtime::Handle::try_current()?;
        tokio::task::yield_now().await;
        let _inside = info_span!("exporting must not be exported").entered();
        self.0
            .lock()
            .unwrap()
            .push((request.uri().to_string(), request.into_body()));
        Ok(Response::new(Bytes::new()))
    }
}

impl Collector {
    fn has(&self, url: &str, text: &str) -> bool {
        let text = text.as_bytes();
        let sent = self.0.lock().unwrap();
        sent.iter()
            .any(|(to, body)| to == url && body.windows(text.len()).any(|part| part == text))
    }
}

fn settings(filter: &str, collector: Option<&Arc<Collector>>) -> TelemetrySettings {
    TelemetrySettings {
        service_name: "domicile".to_owned(),
        service_version: "9.8.7".to_owned(),
        instance_id: "one-of-two".to_owned(),
        region: "eu".parse().unwrap(),
        log_format: LogFormat::Json,
        log_filter: filter.to_owned(),
        otlp: collector.map(|collector| {
            let url = "http://collector.example:4318/base/".parse().unwrap();
            (url, collector.clone() as Arc<dyn HttpClient>)
        }),
    }
}

#[tokio::test]
async fn a_process_exports_spans_and_metrics_and_hides_what_a_panic_holds() {
    let wrong = start(settings("domicile=loud", None)).err();
    assert!(matches!(wrong, Some(TelemetryError::Filter { .. })));

    let collector = Arc::new(Collector::default());
    let telemetry = start(settings("info", Some(&collector))).unwrap();
    let again = start(settings("info", None)).err();
    assert!(matches!(again, Some(TelemetryError::AlreadyStarted)));
    // What nobody wants is not even made.
    assert_eq!(LevelFilter::current(), LevelFilter::INFO);

    let counter = global::meter("domicile.test")
        .u64_counter("domicile.test.things")
        .build();
    counter.add(3, &[]);
    info_span!("a_piece_of_work", job.id = "j-1").in_scope(|| info!("the work is done"));

    let text = telemetry.prometheus_text();
    assert!(
        text.lines()
            .any(|line| line.starts_with("domicile_test_things_total") && line.ends_with(" 3")),
        "{text}"
    );
    assert!(text.contains(r#"domicile_region="eu""#), "{text}");
    let series = text.lines().filter(|line| !line.starts_with('#'));
    for line in series {
        assert!(line.contains(r#"region="eu""#), "{line}");
    }
    assert!(text.contains("process_resident_memory_bytes"), "{text}");

    {
        let capture = testing::capture();
        let literal = std::panic::catch_unwind(|| panic!("a literal"));
        let value = String::from("secret-value");
        let composed = std::panic::catch_unwind(|| panic!("failed for {value}"));
        let other = std::panic::catch_unwind(|| std::panic::panic_any(vec!["secret-value"]));
        assert!(literal.is_err() && composed.is_err() && other.is_err());
        let logs = capture.logs_of("a thread panicked");
        let messages: Vec<_> = logs.iter().map(|line| &line["panic.message"]).collect();
        assert_eq!(
            messages,
            [
                "a literal",
                "withheld: put together from values",
                "withheld: not a text"
            ]
        );
        assert!(
            logs[0]["code.file.path"]
                .as_str()
                .unwrap()
                .ends_with("started.rs")
        );
        assert!(logs[0]["code.line.number"].is_u64());
        assert!(!capture.everything().contains("secret-value"));
    }

    telemetry.shutdown().await;
    let traces = "http://collector.example:4318/base/v1/traces";
    let metrics = "http://collector.example:4318/base/v1/metrics";
    let logs = "http://collector.example:4318/base/v1/logs";
    for (url, text) in [
        (traces, "a_piece_of_work"),
        (traces, "j-1"),
        (traces, "9.8.7"),
        (traces, "domicile.region"),
        (metrics, "domicile.test.things"),
        (metrics, "domicile.region"),
        (logs, "the work is done"),
        (logs, "one-of-two"),
        (logs, "domicile.region"),
    ] {
        assert!(collector.has(url, text), "{text} at {url}");
    }
    assert!(!collector.has(traces, "exporting must not be exported"));
}
