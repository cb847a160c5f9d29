//! A collector: an OTLP receiver over HTTP that decodes what a region exports, and keeps it.

use std::io;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What was exported so far.
#[derive(Default)]
struct Received {
    resources: Vec<Resource>,
    spans: Vec<Span>,
    logs: Vec<LogRecord>,
    metrics: Vec<Metric>,
    /// Everything as it came, to look for what must not be in it.
    raw: Vec<u8>,
}

/// A running receiver; it stops when it is dropped.
pub struct Collector {
    url: String,
    received: Arc<Mutex<Received>>,
    serving: AbortHandle,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Received::default()));
        let keep = Arc::clone(&received);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let keep = Arc::clone(&keep);
                // A connection that breaks off is the exporter's trouble.
                tokio::spawn(async move { drop(serve(stream, &keep).await) });
            }
        });
        Self {
            url,
            received,
            serving: serving.abort_handle(),
        }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn spans(&self) -> Vec<Span> {
        self.received.lock().unwrap().spans.clone()
    }

    pub fn logs(&self) -> Vec<LogRecord> {
        self.received.lock().unwrap().logs.clone()
    }

    /// The names of all metrics.
    pub fn metrics(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received
            .metrics
            .iter()
            .map(|metric| metric.name.clone())
            .collect()
    }

    /// Every resource that something was sent of, by its attributes.
    pub fn resources(&self) -> Vec<Vec<(String, String)>> {
        let received = self.received.lock().unwrap();
        let mut resources: Vec<_> = received
            .resources
            .iter()
            .map(|resource| {
                let mut attributes: Vec<_> = resource.attributes.iter().map(pair).collect();
                attributes.sort();
                attributes
            })
            .collect();
        resources.sort();
        resources.dedup();
        resources
    }

    pub fn holds(&self, text: &str) -> bool {
        let received = self.received.lock().unwrap();
        let found = received
            .raw
            .windows(text.len())
            .any(|part| part == text.as_bytes());
        drop(received);
        found
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A span's or record's attribute, as text.
pub fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    attributes
        .iter()
        .find(|it| it.key == name)
        .map(|found| pair(found).1)
}

/// The text of a log record.
pub fn body(record: &LogRecord) -> String {
    record.body.as_ref().map(text).unwrap_or_default()
}

fn pair(attribute: &KeyValue) -> (String, String) {
    let value = attribute.value.as_ref().map(text).unwrap_or_default();
    (attribute.key.clone(), value)
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => format!("{other:?}"),
    }
}

/// HTTP/1.1 as far as an exporter speaks it: a head, a length, a body.
async fn serve(stream: TcpStream, keep: &Mutex<Received>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            head.push(line.to_ascii_lowercase());
        }
        let length = head
            .iter()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(0, |length| length.trim().parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let path = head.first().and_then(|line| line.split(' ').nth(1));
        let status = match path.map(|path| take(path, &body, keep)) {
            Some(Ok(())) => "200 OK",
            Some(Err(_)) => "400 Bad Request",
            None => "404 Not Found",
        };
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// Decodes one export by the path that it was posted to.
fn take(path: &str, body: &[u8], keep: &Mutex<Received>) -> Result<(), prost::DecodeError> {
    let mut received = keep.lock().unwrap();
    received.raw.extend_from_slice(body);
    match path {
        "/v1/traces" => {
            for of_resource in ExportTraceServiceRequest::decode(body)?.resource_spans {
                received.resources.extend(of_resource.resource);
                for scope in of_resource.scope_spans {
                    received.spans.extend(scope.spans);
                }
            }
        }
        "/v1/logs" => {
            for of_resource in ExportLogsServiceRequest::decode(body)?.resource_logs {
                received.resources.extend(of_resource.resource);
                for scope in of_resource.scope_logs {
                    received.logs.extend(scope.log_records);
                }
            }
        }
        "/v1/metrics" => {
            for of_resource in ExportMetricsServiceRequest::decode(body)?.resource_metrics {
                received.resources.extend(of_resource.resource);
                for scope in of_resource.scope_metrics {
                    received.metrics.extend(scope.metrics);
                }
            }
        }
        _ => {}
    }
    drop(received);
    Ok(())
}
