use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpMessage;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header;
use opentelemetry::KeyValue;
use tracing::field::{Empty, display};
use tracing::{Level, Span, error, info_span, warn};

use super::{ClientCertificate, ClientKind, Listener, Settings};
use crate::context::RequestId;
use crate::problem::ProblemError;

// nginx's word for a client that closed before it had its answer; never sent.
const CLIENT_GONE: u16 = 499;

/// What is told of one request, from its arrival to its answer. Dropped without an answer, it says so.
pub(super) struct Line {
    settings: Arc<Settings>,
    pub(super) span: Span,
    request_id: RequestId,
    method: &'static str,
    route: Arc<str>,
    /// What every measurement of the request has; with room for what is known in the end.
    attributes: Vec<KeyValue>,
    started: Instant,
    told: bool,
}

impl Line {
    pub(super) fn begin(settings: &Arc<Settings>, request: &ServiceRequest, request_id: RequestId) -> Self {
        let method = known_method(request.method());
        let route: Arc<str> = request
            .match_pattern()
            .map_or_else(|| Arc::from("unmatched"), Arc::from);
        let https = settings.host.as_ref().is_some_and(super::HostName::is_https);
        let scheme = if https { "https" } else { "http" };
        let listener = settings.listener.as_str();
        let span = info_span!(
            "http_server",
            otel.name = format!("{method} {route}"),
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = method,
            http.route = &*route,
            url.path = &*route,
            url.scheme = scheme,
            http.response.status_code = Empty,
            error.type = Empty,
            domicile.listener = listener,
            domicile.client = Empty,
            domicile.request_id = %request_id,
        );
        let named = request.headers().get("traceparent");
        if let Some(named) = named.and_then(|value| value.to_str().ok()) {
            match settings.listener {
                // Only the app is trusted to name the trace that its request belongs to.
                Listener::App => domicile_telemetry::set_parent(&span, named),
                // Zoom's own trace, for whoever asks Zoom about a request; anybody can send one, so it decides nothing.
                Listener::Public => domicile_telemetry::add_link(&span, named),
                Listener::Ops => {}
            }
        }
        let mut attributes = Vec::with_capacity(6);
        attributes.extend([
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.scheme", scheme),
            KeyValue::new("domicile.listener", listener),
        ]);
        settings.metrics.began(&attributes);
        Self {
            settings: settings.clone(),
            span,
            request_id,
            method,
            route,
            attributes,
            started: Instant::now(),
            told: false,
        }
    }

    pub(super) fn answered(mut self, status: u16, client: &ClientKind) {
        self.tell(status, client);
    }

    /// Logs why, for an error that the caller is told only the outside of.
    pub(super) fn failed(&self, error: &actix_web::Error, status: u16) {
        let problem = error.as_error::<ProblemError>();
        let cause = match problem {
            Some(problem) => problem.source().map(chain),
            // Some library's text: it may quote what the client sent.
            None => Some("an error of the HTTP library".to_owned()),
        };
        let Some(cause) = cause else { return };
        let kind = problem.map_or("library", |problem| problem.problem().id());
        self.span.in_scope(|| {
            let (method, route, request_id) = (self.method, &self.route, &self.request_id);
            if status >= 500 {
                error!(problem = kind, error.cause = cause, domicile.request_id = %request_id, "{method} {route} failed: {cause}");
            } else {
                warn!(problem = kind, error.cause = cause, domicile.request_id = %request_id, "{method} {route} was refused: {cause}");
            }
        });
    }

    /// Logs that the handler panicked; its words went to the panic hook and may hold anything.
    pub(super) fn panicked(&self) {
        self.settings.metrics.panicked();
        self.span.in_scope(|| {
            error!(domicile.request_id = %self.request_id, "{} {} panicked", self.method, self.route);
        });
    }

    fn tell(&mut self, status: u16, client: &ClientKind) {
        self.told = true;
        let taken = self.started.elapsed();
        let mut attributes = std::mem::take(&mut self.attributes);
        self.settings.metrics.ended(&attributes);
        attributes.push(KeyValue::new("http.route", Arc::clone(&self.route)));
        attributes.push(KeyValue::new("http.response.status_code", i64::from(status)));
        let span = &self.span;
        tracing::record_all!(
            span,
            http.response.status_code = status,
            domicile.client = client.as_str()
        );
        if status >= 500 {
            span.record("error.type", status.to_string());
            span.record("otel.status_code", "ERROR");
            attributes.push(KeyValue::new("error.type", status.to_string()));
        }
        self.settings.metrics.answered(taken, &attributes);

        let key = match client {
            ClientKind::App { key } => Some(key.as_ref()),
            _ => None,
        };
        let origin = client.origin();
        let address = origin.and_then(|origin| origin.address).map(display);
        let certificate = origin.and_then(|origin| origin.certificate.as_deref());
        let duration_ms = taken.as_secs_f64() * 1000.0;
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    http.request.method = self.method,
                    http.route = &*self.route,
                    url.path = &*self.route,
                    http.response.status_code = status,
                    duration_ms,
                    domicile.listener = self.settings.listener.as_str(),
                    domicile.client = client.as_str(),
                    domicile.app_key = key,
                    client.address = address,
                    domicile.client_certificate = certificate.map(ClientCertificate::outcome),
                    tls.client.subject = certificate.and_then(ClientCertificate::subject),
                    domicile.request_id = %self.request_id,
                    "{} {} {status}",
                    self.method,
                    self.route,
                )
            };
        }
        span.in_scope(|| {
            // Probes and scrapes come every few seconds and say nothing while all is well.
            if self.settings.listener == Listener::Ops && status < 400 {
                line!(Level::DEBUG);
            } else {
                line!(Level::INFO);
            }
        });
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.told {
            self.tell(CLIENT_GONE, &ClientKind::Unknown);
        }
    }
}

/// The client's kind, from what extractors proved or else from what it accepts.
pub(super) fn client_kind(message: &impl HttpMessage, wants_page: bool) -> ClientKind {
    message
        .extensions()
        .get::<ClientKind>()
        .cloned()
        .unwrap_or(if wants_page {
            ClientKind::Browser
        } else {
            ClientKind::Unknown
        })
}

/// True when a person waits for a page.
pub(super) fn wants_page(listener: Listener, request: &ServiceRequest) -> bool {
    listener == Listener::Public
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && request
            .headers()
            .get_all(header::ACCEPT)
            .any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")))
}

// The convention's `_OTHER`: a method is any text that a client makes up.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        _ => "_OTHER",
    }
}

/// An error with all its sources, each of which leaves out what its own source says.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
