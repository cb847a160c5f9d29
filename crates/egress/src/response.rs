//! Answers.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use domicile_kernel::Timestamp;
use futures_util::Stream;
use http::{HeaderMap, StatusCode, header};
use url::Url;

use crate::certificate::not_after;
use crate::contacts::Counters;
use crate::error::{EgressError, TimeoutPhase, origin};

/// An answer whose head has arrived. The body is read as it comes; dropping the answer ends the call. Bodies are never
/// decompressed: they are the bytes that the other side served.
pub struct Response {
    inner: reqwest::Response,
    counters: Arc<Counters>,
}

impl Response {
    pub(crate) fn new(inner: reqwest::Response, counters: Arc<Counters>) -> Self {
        Self { inner, counters }
    }

    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// The URL that answered. It may hold a signature: never log it.
    pub fn url(&self) -> &Url {
        self.inner.url()
    }

    /// When the certificate of the other side ends; `None` where there was no TLS.
    pub fn certificate_ends_at(&self) -> Option<Timestamp> {
        let tls = self.inner.extensions().get::<reqwest::tls::TlsInfo>()?;
        not_after(tls.peer_certificate()?)
    }

    /// The length that the other side announced, in bytes. Often missing.
    pub fn content_length(&self) -> Option<u64> {
        self.headers()
            .get(header::CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    }

    /// The next piece of the body; `None` at its end. A body that ends before its announced length is
    /// [`EgressError::Broken`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        match self.inner.chunk().await {
            Ok(chunk) => {
                self.counters
                    .received(chunk.as_ref().map_or(0, Bytes::len) as u64);
                Ok(chunk)
            }
            Err(error) => Err(body_error(error, &origin(self.inner.url()))),
        }
    }

    /// The whole body, if it is not larger than `max_bytes`.
    pub async fn bytes_limited(mut self, max_bytes: usize) -> Result<Bytes, EgressError> {
        let too_large = |url: &Url| EgressError::BodyTooLarge {
            origin: origin(url),
            max_bytes,
        };
        let announced = self.content_length().unwrap_or(0);
        if usize::try_from(announced).map_or(true, |length| length > max_bytes) {
            return Err(too_large(self.url()));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > max_bytes {
                return Err(too_large(self.url()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// The body as a stream of pieces.
    pub fn into_stream(self) -> BodyStream {
        BodyStream {
            origin: origin(self.inner.url()),
            inner: Box::pin(self.inner.bytes_stream()),
            counters: self.counters,
        }
    }
}

/// Status alone: headers and URL may hold secrets.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// The body of a [`Response`], piece by piece.
pub struct BodyStream {
    origin: String,
    inner: Pin<Box<dyn Stream<Item = Result<Bytes, reqwest::Error>> + Send + Sync>>,
    counters: Arc<Counters>,
}

impl Stream for BodyStream {
    type Item = Result<Bytes, EgressError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = std::task::ready!(self.inner.as_mut().poll_next(cx));
        if let Some(Ok(piece)) = &item {
            self.counters.received(piece.len() as u64);
        }
        Poll::Ready(item.map(|piece| piece.map_err(|error| body_error(error, &self.origin))))
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyStream")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

fn body_error(error: reqwest::Error, origin: &str) -> EgressError {
    EgressError::from_reqwest(error, origin, TimeoutPhase::Body)
}
