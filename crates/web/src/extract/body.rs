//! Reading a body within bounds of size and time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::budget::Held;
use crate::problem::{Problem, ProblemError};

const RAW_BODY_TIME: Duration = Duration::from_secs(15);
// Enough for nearly every body at once. What is only announced gets no more: an announcement costs its sender nothing.
const FIRST_CAPACITY_BYTES: usize = 16 * 1024;

/// Why there is no body.
pub(super) enum BodyError {
    TooLarge,
    TooSlow,
    /// A coding that would have to be undone: what is signed and limited is the body as sent.
    Encoded,
    Broken,
    /// All bodies together are as large as they may be.
    NoRoom,
}

impl BodyError {
    pub(super) fn into_problem(self, max_bytes: usize) -> ProblemError {
        match self {
            Self::TooLarge => ProblemError::new(Problem::PayloadTooLarge)
                .detail(format!("A body may have {max_bytes} bytes here.")),
            Self::TooSlow => ProblemError::new(Problem::RequestTimeout),
            Self::Encoded => {
                Problem::UnsupportedMediaType.into_error("The body must come without a Content-Encoding.")
            }
            Self::NoRoom => Problem::Unavailable.into_error("Too many bodies are being read."),
            Self::Broken => Problem::MalformedRequest.into_error("The body broke off."),
        }
    }
}

/// A body of any type, as it was sent, of at most so many bytes; it must have come within 15 seconds.
#[derive(Debug, Clone)]
pub struct RawBody<const MAX_BYTES: usize>(pub Bytes);

impl<const MAX_BYTES: usize> FromRequest for RawBody<MAX_BYTES> {
    type Error = ProblemError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ProblemError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            read(
                &request,
                payload,
                MAX_BYTES,
                RAW_BODY_TIME,
                &mut Held::unbounded(),
            )
            .await
            .map(Self)
            .map_err(|error| error.into_problem(MAX_BYTES))
        })
    }
}

/// The body as it was sent.
pub(super) async fn read(
    request: &HttpRequest,
    mut payload: Payload,
    max_bytes: usize,
    time: Duration,
    held: &mut Held,
) -> Result<Bytes, BodyError> {
    let mut codings = request.headers().get_all(header::CONTENT_ENCODING);
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(BodyError::Encoded);
    }
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max_bytes) {
        return Err(BodyError::TooLarge);
    }
    let read = async {
        let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(FIRST_CAPACITY_BYTES));
        while let Some(piece) = payload.next().await {
            let piece = piece.map_err(|_| BodyError::Broken)?;
            if body.len() + piece.len() > max_bytes {
                return Err(BodyError::TooLarge);
            }
            if !held.grow(piece.len()) {
                return Err(BodyError::NoRoom);
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(time, read)
        .await
        .unwrap_or(Err(BodyError::TooSlow))
}
