//! The middleware around every listener. One [`Guard`] does, in this order:
//!
//! 1. gives the request its id and span (OpenTelemetry HTTP server semantic conventions);
//! 2. answers 421 to a foreign host, before anything else happens;
//! 3. calls the handler, and makes 500 of a panic;
//! 4. makes a problem of every error that is none yet, 404 and 405 of the router among them; a browser on the public
//!    listener gets it as a page;
//! 5. adds the security headers;
//! 6. writes one line and one measurement, also when the client goes away in between.
//!
//! Wrap it last, so that it is outermost. Neither line, span nor measurement holds a path (paths hold tokens), a query, an
//! address or any other text of the client's (INV-3): `url.path` is the route's template. Only on Zoom's endpoints, where
//! no person calls, the line tells what the ingress said of the caller: an [`Origin`].

mod connection;
mod headers;
mod host;
mod line;
mod origin;
mod service;

use std::sync::Arc;

use actix_web::http::header::HeaderName;
use domicile_kernel::Ids;
use url::Url;

use crate::metrics::Metrics;

pub use connection::watch_connections;
pub use host::HostName;
pub use origin::{ClientCertificate, Origin};

/// Names the service whose answer is passed on, such as `zoom`. A guard leaves status and body of such an answer alone.
pub const UPSTREAM: HeaderName = HeaderName::from_static("domicile-upstream");

/// Which of the three listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listener {
    /// For Zoom and browsers.
    Public,
    /// For the app's backend.
    App,
    /// For the cluster.
    Ops,
}

impl Listener {
    /// The name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::App => "app",
            Self::Ops => "ops",
        }
    }
}

/// Who called, as far as is proven. Extractors put it into the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientKind {
    /// Zoom, by its signature; the ingress said whence.
    Zoom(Origin),
    /// Somebody at one of Zoom's endpoints who has not proved to be Zoom.
    AtZoomEndpoint(Origin),
    /// The app, by the key of this name.
    App {
        /// The name that the operators gave the key.
        key: Arc<str>,
    },
    /// A browser, by what it accepts; nothing is proven.
    Browser,
    /// Anybody.
    Unknown,
}

impl ClientKind {
    /// The name in logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Zoom(_) => "zoom",
            Self::App { .. } => "app",
            Self::Browser => "browser",
            Self::AtZoomEndpoint(_) | Self::Unknown => "unknown",
        }
    }

    /// What the ingress said of a caller of Zoom's endpoints; of all others it is not looked at.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Zoom(origin) | Self::AtZoomEndpoint(origin) => Some(origin),
            _ => None,
        }
    }

    /// The signature verified.
    pub(crate) fn prove_zoom(&mut self) {
        if let Self::AtZoomEndpoint(origin) = self {
            *self = Self::Zoom(std::mem::take(origin));
        }
    }
}

/// The middleware of one listener; cheap to clone, one for all workers.
#[derive(Clone)]
pub struct Guard(Arc<Settings>);

struct Settings {
    listener: Listener,
    ids: Ids,
    host: Option<HostName>,
    metrics: Metrics,
}

impl Guard {
    /// A guard for this listener, which takes any host.
    pub fn new(listener: Listener, ids: Ids) -> Self {
        Self(Arc::new(Settings {
            listener,
            ids,
            host: None,
            metrics: Metrics::global(),
        }))
    }

    /// A guard for a listener whose requests must name the host of this URL. Where the URL is https, browsers are told
    /// to use nothing else (HSTS).
    pub fn for_host(listener: Listener, ids: Ids, url: &Url) -> Self {
        Self(Arc::new(Settings {
            listener,
            ids,
            host: Some(HostName::of(url)),
            metrics: Metrics::global(),
        }))
    }
}

#[cfg(test)]
pub(crate) mod log;
#[cfg(test)]
mod tests;
