//! What a call tells: metrics, log lines, the trace header. One test, since meter provider and propagator are global.
#![cfg(test)]

mod server;

use std::io::Write;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use domicile_egress::testing::{TIMEOUTS, loopback};
use http::Request;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, global};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use crate::server::{Answer, serve};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_call_tells_host_and_status_and_never_path_query_or_header() {
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder()
        .with_reader(PeriodicReader::builder(exporter.clone()).build())
        .build();
    global::set_meter_provider(provider.clone());
    global::set_text_map_propagator(TraceContextPropagator::new());
    let lines = Lines::default();
    let writer = lines.clone();
    let _logging = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_writer(move || writer.clone())
            .finish(),
    );
    let trace = SpanContext::new(
        TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
        SpanId::from(0xb7ad_6b71_6920_3331),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );

    let server = serve(|_| Answer::head("503 Service Unavailable", "x-secret: secret-answer")).await;
    let client = loopback().client("zoom_api", TIMEOUTS);
    let request = |url: &str| {
        Request::get(url)
            .header("authorization", "Bearer secret-token")
            .body(Bytes::new())
            .unwrap()
    };
    let url = server.url("127.0.0.1", "/secret-path?secret=secret-query");
    {
        let _current = Context::new().with_remote_span_context(trace).attach();
        client.send(request(&url)).await.unwrap();
        client
            .clone()
            .with_trace_propagation()
            .send(request(&url))
            .await
            .unwrap();
    }
    client
        .send(request("https://evil.example/secret-path?secret=secret-query"))
        .await
        .unwrap_err();

    let seen = server.seen();
    assert!(!seen[0].contains("traceparent"));
    assert!(
        seen[1].contains("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        "{}",
        seen[1]
    );

    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let own: Vec<_> = logged
        .lines()
        .filter(|line| line.contains("\"target\":\"domicile_egress"))
        .collect();
    assert!(
        own.iter()
            .any(|line| line.contains("WARN") && line.contains("evil.example"))
    );
    assert!(
        own.iter()
            .any(|line| line.contains("GET zoom_api") && line.contains("503"))
    );
    for line in own {
        for secret in ["secret-path", "secret-query", "secret-token", "secret-answer"] {
            assert!(!line.contains(secret), "{line}");
        }
    }

    provider.force_flush().unwrap();
    let mut refused = Vec::new();
    let mut durations = Vec::new();
    for resource in exporter.get_finished_metrics().unwrap() {
        for metric in resource.scope_metrics().flat_map(ScopeMetrics::metrics) {
            match metric.data() {
                AggregatedMetrics::U64(MetricData::Sum(sum))
                    if metric.name() == "domicile.egress.refused" =>
                {
                    refused.extend(sum.data_points().map(|point| {
                        let reason = point.attributes().next().unwrap().value.to_string();
                        (reason, point.value())
                    }));
                }
                AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                    assert_eq!(metric.name(), "http.client.request.duration");
                    durations.extend(histogram.data_points().map(|point| {
                        let mut attributes: Vec<_> = point
                            .attributes()
                            .map(|pair| format!("{}={}", pair.key, pair.value))
                            .collect();
                        attributes.sort();
                        (attributes.join(" "), point.count())
                    }));
                }
                other => panic!("{} {other:?}", metric.name()),
            }
        }
    }
    refused.sort();
    durations.sort();
    let expected = [
        ("address", 0),
        ("host", 1),
        ("port", 0),
        ("resolved_address", 0),
        ("scheme", 0),
        ("userinfo", 0),
    ];
    assert_eq!(
        refused,
        expected.map(|(reason, count)| (reason.to_owned(), count))
    );
    let answered = format!(
        "domicile.egress.purpose=zoom_api error.type=503 http.request.method=GET http.response.status_code=503 \
         server.address=127.0.0.1 server.port={} url.scheme=http",
        server.port
    );
    let refused =
        "domicile.egress.purpose=zoom_api error.type=refused http.request.method=GET url.scheme=https";
    assert_eq!(durations, [(answered, 2), (refused.to_owned(), 1)]);
}
