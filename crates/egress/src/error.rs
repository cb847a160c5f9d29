//! What can go wrong with a call.

use std::error::Error as StdError;
use std::fmt;

use domicile_kernel::Fate;
use thiserror::Error;
use url::Url;

use crate::fence::{Refused, RefusedReason};

type Source = Box<dyn StdError + Send + Sync>;

/// A call that brought no answer, or no whole one. No variant shows a path, query, header or body (INV-3).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The fence did not let it out.
    #[error(transparent)]
    Refused(#[from] Box<Refused>),
    /// The host's name has no address.
    #[error("the name of {origin} could not be resolved")]
    Dns {
        /// Scheme and host.
        origin: String,
        /// What the resolver said.
        source: Source,
    },
    /// No connection, or no TLS session, could be made.
    #[error("no connection to {origin}")]
    Connect {
        /// Scheme and host.
        origin: String,
        /// What the connection said.
        source: Source,
    },
    /// It took longer than its [`Timeouts`](crate::Timeouts) allow.
    #[error("{origin} took too long {phase}")]
    Timeout {
        /// Scheme and host.
        origin: String,
        /// What was being waited for.
        phase: TimeoutPhase,
    },
    /// More redirects than allowed.
    #[error("{origin} and those before it redirected more than {max_hops} times")]
    TooManyRedirects {
        /// Scheme and host of the last one.
        origin: String,
        /// The limit.
        max_hops: u8,
    },
    /// A redirect without a usable `Location`.
    #[error("{origin} redirected without saying where to")]
    BadRedirect {
        /// Scheme and host.
        origin: String,
    },
    /// The body is larger than the caller takes.
    #[error("the answer of {origin} is larger than {max_bytes} bytes")]
    BodyTooLarge {
        /// Scheme and host.
        origin: String,
        /// The limit.
        max_bytes: usize,
    },
    /// The connection broke, or what came over it was not HTTP.
    #[error("the exchange with {origin} broke off {phase}")]
    Broken {
        /// Scheme and host.
        origin: String,
        /// How far it had come.
        phase: TimeoutPhase,
        /// What the connection said.
        source: Source,
    },
    /// The request itself could not be formed: its URL or one of its headers is not valid.
    #[error("the request is not valid HTTP")]
    InvalidRequest,
    /// No client could be built, for want of the system's certificates above all.
    #[error("the HTTP client could not be set up")]
    Setup {
        /// What is missing.
        source: Source,
    },
}

/// How far a call had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutPhase {
    /// Before the request was sent.
    Connect,
    /// After (part of) the request was sent, before the head of the answer was there.
    Answer,
    /// While the body of the answer was read.
    Body,
}

impl fmt::Display for TimeoutPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "while connecting",
            Self::Answer => "before its answer",
            Self::Body => "within its answer",
        })
    }
}

impl EgressError {
    /// Whether the same call may succeed later. An address refused by its resolution may: names change.
    pub fn fate(&self) -> Fate {
        match self {
            Self::Refused(refused) if refused.reason() != RefusedReason::ResolvedAddress => Fate::Final,
            Self::BodyTooLarge { .. } | Self::InvalidRequest | Self::Setup { .. } => Fate::Final,
            Self::Refused(_)
            | Self::Dns { .. }
            | Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::TooManyRedirects { .. }
            | Self::BadRedirect { .. }
            | Self::Broken { .. } => Fate::RETRY,
        }
    }

    /// False only when the request surely never reached the other side, so that repeating it cannot do a thing twice.
    pub fn may_have_arrived(&self) -> bool {
        !matches!(
            self,
            Self::Refused(_)
                | Self::Dns { .. }
                | Self::Connect { .. }
                | Self::InvalidRequest
                | Self::Setup { .. }
                | Self::Timeout {
                    phase: TimeoutPhase::Connect,
                    ..
                }
        )
    }

    /// The value of the `error.type` attribute of span and metric.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Dns { .. } => "dns",
            Self::Connect { .. } => "connect",
            Self::Timeout { .. } => "timeout",
            Self::TooManyRedirects { .. } => "too_many_redirects",
            Self::BadRedirect { .. } => "bad_redirect",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::Broken { .. } => "broken",
            Self::InvalidRequest => "invalid_request",
            Self::Setup { .. } => "setup",
        }
    }

    /// Reads what the HTTP library says; `phase` is how far the call had come at least.
    pub(crate) fn from_reqwest(error: reqwest::Error, origin: &str, phase: TimeoutPhase) -> Self {
        let origin = origin.to_owned();
        if let Some(refused) = cause::<Refused>(&error) {
            return Self::Refused(Box::new(refused.clone()));
        }
        if error.is_builder() {
            return Self::InvalidRequest;
        }
        let connecting = error.is_connect();
        if error.is_timeout() {
            let phase = if connecting { TimeoutPhase::Connect } else { phase };
            return Self::Timeout { origin, phase };
        }
        let unresolved = error.is_dns();
        // The library's text would show the whole URL.
        let source = Box::new(error.without_url());
        if unresolved {
            Self::Dns { origin, source }
        } else if connecting {
            Self::Connect { origin, source }
        } else {
            Self::Broken {
                origin,
                phase,
                source,
            }
        }
    }
}

/// Scheme, host and port that is not the default: all of a URL that an error may show.
pub(crate) fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

fn cause<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        next = current.source();
    }
    None
}
