//! The port through which webhooks leave.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use url::Url;

/// One POST.
pub struct WebhookRequest {
    /// Where to.
    pub url: Url,
    /// All headers but `host` and `content-length`.
    pub headers: Vec<(&'static str, String)>,
    /// The exact body.
    pub body: Bytes,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// An answer; redirects are answers too.
    Answered {
        /// Its status.
        status: u16,
        /// Its body, at most 64 KiB.
        body: Bytes,
    },
    /// Nothing within the limit.
    TimedOut,
    /// No connection.
    ConnectionRefused,
    /// The connection ended before the answer.
    Broken,
    /// That URL is not to be called.
    NotAllowed,
}

/// Posts to a receiver, without following redirects.
#[async_trait]
pub trait WebhookSender: Send + Sync {
    /// Sends once and waits at most `limit`.
    async fn send(&self, request: WebhookRequest, limit: Duration) -> WebhookAnswer;
}
