//! The only builder of HTTP clients.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use opentelemetry::{KeyValue, global};
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};
use url::Url;

use crate::error::{EgressError, TimeoutPhase, origin};
use crate::fence::{Fence, NamedBy};
use crate::metrics::Metrics;
use crate::resolver::{FencedResolver, Resolver};
use crate::response::Response;

const USER_AGENT: &str = concat!("domicile/", env!("CARGO_PKG_VERSION"));

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until name resolution, TCP and TLS are done.
    pub connect: Duration,
    /// From the start of the call, sending included, until the head of the answer; then the longest silence between two
    /// pieces of the body.
    pub read: Duration,
    /// The whole call with its body; `None` for bodies of any size.
    pub total: Option<Duration>,
}

/// The way out of the process: hands out clients that cannot leave the fence. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    inner: Arc<Inner>,
}

struct Inner {
    fence: Arc<Fence>,
    resolver: Arc<dyn Resolver>,
    metrics: Metrics,
}

impl Egress {
    /// An egress whose names are found by this resolver. Fails if the machine has no usable certificate authorities.
    pub fn new(fence: Arc<Fence>, resolver: Arc<dyn Resolver>) -> Result<Self, EgressError> {
        let egress = Self {
            inner: Arc::new(Inner {
                fence,
                resolver,
                metrics: Metrics::global(),
            }),
        };
        let probe = Timeouts {
            connect: Duration::from_secs(1),
            read: Duration::from_secs(1),
            total: None,
        };
        egress
            .build(probe, NamedBy::Outsider)
            .map_err(|source| EgressError::Setup {
                source: source.into(),
            })?;
        Ok(egress)
    }

    /// A client for one purpose, which names its spans and metrics: `zoom_api`, `zoom_download`, `app_events`.
    /// Make it once and clone it: it holds the pool of connections.
    pub fn client(&self, purpose: &'static str, timeouts: Timeouts) -> Client {
        Client {
            inner: Arc::new(ClientInner {
                egress: self.clone(),
                purpose,
                own: self.build(timeouts, NamedBy::Operator).ok(),
                foreign: self.build(timeouts, NamedBy::Outsider).ok(),
            }),
            propagates: false,
            named_by: NamedBy::Operator,
        }
    }

    /// The fence around this egress.
    pub fn fence(&self) -> &Arc<Fence> {
        &self.inner.fence
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "egress is the place where HTTP clients are built"
    )]
    fn build(&self, timeouts: Timeouts, named_by: NamedBy) -> Result<reqwest::Client, reqwest::Error> {
        let resolver = FencedResolver {
            fence: self.inner.fence.clone(),
            resolver: self.inner.resolver.clone(),
            named_by,
        };
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .tls_backend_rustls()
            .tls_info(true)
            .dns_resolver(resolver)
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.read);
        match timeouts.total {
            Some(total) => builder.timeout(total),
            None => builder,
        }
        .build()
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress")
            .field("fence", &self.inner.fence)
            .finish_non_exhaustive()
    }
}

/// Makes calls for one purpose. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<ClientInner>,
    propagates: bool,
    named_by: NamedBy,
}

struct ClientInner {
    egress: Egress,
    purpose: &'static str,
    // `Egress::new` has built one already, so these are `None` only if the machine lost its certificates since.
    own: Option<reqwest::Client>,
    foreign: Option<reqwest::Client>,
}

impl Client {
    /// The same client, which also tells the other side our trace (W3C `traceparent`): for the app and our own services.
    #[must_use]
    pub fn with_trace_propagation(mut self) -> Self {
        self.propagates = true;
        self
    }

    /// The same client for URLs that came from outside, such as Zoom's `api_url`: rules marked internal do not count.
    #[must_use]
    pub fn for_foreign_urls(mut self) -> Self {
        self.named_by = NamedBy::Outsider;
        self
    }

    /// What this client is for.
    pub fn purpose(&self) -> &'static str {
        self.inner.purpose
    }

    /// The fence around this client.
    pub fn fence(&self) -> &Arc<Fence> {
        self.inner.egress.fence()
    }

    /// Makes one call. A redirect is an answer like any other and is not followed; every status is `Ok`. The `Host`
    /// header is always the URL's.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response, EgressError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|_| EgressError::InvalidRequest)?;
        let mut outgoing = reqwest::Request::new(parts.method, url);
        *outgoing.headers_mut() = parts.headers;
        outgoing.headers_mut().remove(header::HOST);
        if !body.is_empty() {
            *outgoing.body_mut() = Some(body.into());
        } else if matches!(*outgoing.method(), Method::POST | Method::PUT | Method::PATCH) {
            // RFC 9110, section 8.6; S3 insists on it.
            outgoing
                .headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        self.execute(outgoing).await
    }

    /// The one place where a request leaves: fence, span, trace header, metric.
    pub(crate) async fn execute(&self, request: reqwest::Request) -> Result<Response, EgressError> {
        let url = request.url();
        let host = url.host_str().unwrap_or_default().to_owned();
        let method = request.method().as_str().to_owned();
        let (scheme, port) = (url.scheme().to_owned(), url.port_or_known_default());
        let purpose = self.inner.purpose;
        let span = info_span!(
            "http_client",
            otel.name = format!("{method} {purpose}"),
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = method,
            server.address = host,
            server.port = port,
            url.scheme = scheme,
            domicile.egress.purpose = purpose,
            http.response.status_code = Empty,
            error.type = Empty,
        );
        async {
            let started = Instant::now();
            let outcome = self.attempt(request).await;
            let mut attributes = vec![
                KeyValue::new("http.request.method", method.clone()),
                KeyValue::new("url.scheme", scheme.clone()),
                KeyValue::new("domicile.egress.purpose", purpose),
            ];
            // A refused host is anybody's text and would make a series of its own.
            if !matches!(outcome, Err(EgressError::Refused(_))) {
                attributes.push(KeyValue::new("server.address", host.clone()));
                attributes.extend(port.map(|port| KeyValue::new("server.port", i64::from(port))));
            }
            attributes.extend(describe(&outcome));
            self.inner
                .egress
                .inner
                .metrics
                .answered(started.elapsed(), &attributes);
            outcome
        }
        .instrument(span.clone())
        .await
    }

    async fn attempt(&self, mut request: reqwest::Request) -> Result<Response, EgressError> {
        self.fence()
            .check_named(request.url(), self.named_by)
            .map_err(Box::new)?;
        let client = match self.named_by {
            NamedBy::Operator => &self.inner.own,
            NamedBy::Outsider => &self.inner.foreign,
        };
        let Some(client) = client else {
            return Err(EgressError::Setup {
                source: "no certificate authorities".into(),
            });
        };
        if self.propagates {
            inject_trace(request.headers_mut());
        }
        let origin = origin(request.url());
        let sent_bytes = sent_bytes(&request);
        let counters = self.fence().contacts().begin(
            request.url().host_str().unwrap_or_default(),
            request.url().port_or_known_default().unwrap_or_default(),
            self.inner.purpose,
            sent_bytes,
        );
        match client.execute(request).await {
            Ok(response) => Ok(Response::new(response, counters)),
            Err(error) => {
                let error = EgressError::from_reqwest(error, &origin, TimeoutPhase::Answer);
                if matches!(error, EgressError::Refused(_)) {
                    // Its name led to addresses that the fence refuses: nothing was sent.
                    counters.take_back(sent_bytes);
                } else {
                    counters.failed();
                }
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("purpose", &self.inner.purpose)
            .finish_non_exhaustive()
    }
}

/// The size of the body; a stream's is what it announces.
fn sent_bytes(request: &reqwest::Request) -> usize {
    let whole = request.body().and_then(reqwest::Body::as_bytes).map(<[u8]>::len);
    let announced = || {
        let length = request.headers().get(header::CONTENT_LENGTH)?;
        length.to_str().ok()?.parse().ok()
    };
    whole.or_else(announced).unwrap_or(0)
}

/// Writes the outcome into the current span and returns it as attributes.
fn describe(outcome: &Result<Response, EgressError>) -> Vec<KeyValue> {
    let span = Span::current();
    let mut attributes = Vec::new();
    let mut failed = |kind: String| {
        span.record("error.type", kind.as_str());
        span.record("otel.status_code", "ERROR");
        attributes.push(KeyValue::new("error.type", kind));
    };
    match outcome {
        Ok(response) => {
            let status = response.status();
            if status.is_client_error() || status.is_server_error() {
                failed(status.as_str().to_owned());
            }
            span.record("http.response.status_code", status.as_u16());
            attributes.push(KeyValue::new(
                "http.response.status_code",
                i64::from(status.as_u16()),
            ));
        }
        Err(error) => failed(error.kind().to_owned()),
    }
    attributes
}

/// Adds the current span's context in the format of the global propagator.
fn inject_trace(headers: &mut HeaderMap) {
    let mut carrier = HashMap::new();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&domicile_telemetry::context(), &mut carrier);
    });
    for (name, value) in carrier {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}
