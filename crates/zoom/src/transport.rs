//! One request to Zoom, with the difference that matters for single-use tokens: was it sent or not?

use bytes::Bytes;
use domicile_egress::{Client, EgressError};
use http::{HeaderMap, Request, StatusCode};

/// An answer that was read whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
pub(crate) enum NoAnswer {
    /// Zoom cannot have seen the request.
    NotSent(EgressError),
    /// Zoom may have acted on it.
    Lost(EgressError),
}

/// Sends the request and reads at most `max_bytes` of the answer.
pub(crate) async fn send(
    client: &Client,
    request: Request<Bytes>,
    max_bytes: usize,
) -> Result<Answer, NoAnswer> {
    let response = client.send(request).await.map_err(|error| {
        if error.may_have_arrived() {
            NoAnswer::Lost(error)
        } else {
            NoAnswer::NotSent(error)
        }
    })?;
    let status = response.status();
    let headers = response.headers().clone();
    let body = response.bytes_limited(max_bytes).await.map_err(NoAnswer::Lost)?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}
