//! Calls that the app makes through us, with a token that it never sees.
//!
//! What the client wrote is read and written anew: its path is held against [`CallRules`] and encoded from what was
//! matched, its query is parsed, its headers and the answer's pass by allow-lists. The host is the grant's.

mod rules;
mod segment;
mod withheld;

use std::time::Duration;

use bytes::Bytes;
use domicile_egress::{EgressError, retry_after};
use domicile_kernel::{Secret, Timestamp};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Request, StatusCode};
use thiserror::Error;
use url::Url;

use super::{ApiError, ZoomApi, error};
use crate::host::ApiBase;
use crate::transport::{self, Answer, NoAnswer};

pub use rules::{AllowedCall, CallRules, InvalidCallRules};

/// The largest answer that is passed on.
pub const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// What a client may say of its request. Its credential, its cookies, and who forwarded it stay here.
const REQUEST_HEADERS: [HeaderName; 7] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];

/// What is passed on of an answer, besides `Retry-After` (Zoom: API rate limits; `x-zm-trackingid` names the call to
/// Zoom's support).
const ANSWER_HEADERS: [HeaderName; 10] = [
    header::CONTENT_TYPE,
    header::CONTENT_LANGUAGE,
    header::ETAG,
    header::LAST_MODIFIED,
    HeaderName::from_static("x-ratelimit-category"),
    HeaderName::from_static("x-ratelimit-type"),
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
    HeaderName::from_static("x-zm-trackingid"),
];

/// Why a call never leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CallRefused {
    /// No rule has this method and path.
    #[error("no rule allows this method and path")]
    NotListed,
    /// The path holds what no path of Zoom's API holds, or what could be read in two ways.
    #[error("the path is not one of Zoom's API")]
    Path,
    /// The query is not passed on; the text says why, without what was sent.
    #[error("the query cannot be passed on: {0}")]
    Query(&'static str),
}

/// Why there is no answer to pass on. Nothing of request or answer is in it (INV-3).
#[derive(Debug, Error)]
pub enum PassThroughError {
    /// The base is of a host that the settings do not allow any more.
    #[error("the API's host is not one of DOMICILE_ZOOM_HOSTS")]
    HostNotAllowed,
    /// The call makes no valid HTTP request.
    #[error("the request to Zoom cannot be written")]
    NotARequest,
    /// Zoom cannot have seen the call.
    #[error("Zoom's API cannot be reached")]
    Unreachable(#[source] EgressError),
    /// Zoom may have acted on the call.
    #[error("the answer of Zoom's API was lost")]
    LostAnswer(#[source] EgressError),
    /// The answer is larger than [`MAX_ANSWER_BYTES`].
    #[error("the answer of Zoom's API is larger than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
    /// Redirects are not followed: they would take the token along, or lead to what a token opens.
    #[error("Zoom's API answered with a redirect")]
    Redirect,
    /// The body is compressed though nobody asked for it, or holds a credential in a form that cannot be read.
    #[error("the answer of Zoom's API cannot be read")]
    Unreadable,
}

/// Zoom's answer, as far as it is passed on.
#[derive(Debug)]
pub struct PassedAnswer {
    /// Zoom's status.
    pub status: StatusCode,
    /// Those of its headers that are passed on; `Retry-After` always in seconds, as RFC 9110 knows it.
    pub headers: HeaderMap,
    /// Its body: that of an error as it is, that of a success without the credentials in it.
    pub body: Bytes,
    /// The members that were taken out of the body.
    pub withheld: Vec<&'static str>,
    /// Zoom refused the access token itself: it is worth another try with a fresh one, and nothing was done.
    pub token_refused: bool,
}

impl ZoomApi {
    /// Makes an allowed call with a link's token. `headers` are all that the client sent; those that may are passed on.
    pub async fn pass_through(
        &self,
        base: &ApiBase,
        token: &Secret<String>,
        call: &AllowedCall,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<PassedAnswer, PassThroughError> {
        let url = url(base, call)?;
        if !self.hosts.allows(&url) {
            return Err(PassThroughError::HostNotAllowed);
        }
        let request = request(&url, token, call, headers, body)?;
        let answer = transport::send(&self.http, self.clock.as_ref(), request, MAX_ANSWER_BYTES)
            .await
            .map_err(|no_answer| match no_answer {
                NoAnswer::NotSent(cause) => PassThroughError::Unreachable(cause),
                NoAnswer::Lost(EgressError::BodyTooLarge { .. }) => PassThroughError::TooLarge,
                NoAnswer::Lost(cause) => PassThroughError::LostAnswer(cause),
            })?;
        passed(answer, self.clock.now())
    }
}

/// The URL that Zoom sees. The path is put in as it was encoded: a parser finds nothing in it to interpret.
fn url(base: &ApiBase, call: &AllowedCall) -> Result<Url, PassThroughError> {
    let text = format!("{}/v2/{}", base.as_str(), call.path);
    let mut url = Url::parse(&text).map_err(|_| PassThroughError::NotARequest)?;
    // A second look, which must never find anything: what is called is what was matched, at the grant's host.
    let intact = url.path().strip_prefix("/v2/") == Some(call.path.as_str());
    if !intact || url.origin() != base.url().origin() {
        return Err(PassThroughError::NotARequest);
    }
    if !call.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&call.query);
    }
    Ok(url)
}

fn request(
    url: &Url,
    token: &Secret<String>,
    call: &AllowedCall,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Request<Bytes>, PassThroughError> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| PassThroughError::NotARequest)?;
    bearer.set_sensitive(true);
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(url.as_str())
        .body(body)
        .map_err(|_| PassThroughError::NotARequest)?;
    let outgoing = request.headers_mut();
    copy(&REQUEST_HEADERS, headers, outgoing);
    outgoing
        .entry(header::ACCEPT)
        .or_insert(HeaderValue::from_static("application/json"));
    outgoing.insert(header::AUTHORIZATION, bearer);
    Ok(request)
}

fn passed(answer: Answer, now: Timestamp) -> Result<PassedAnswer, PassThroughError> {
    let status = answer.status;
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        return Err(PassThroughError::Redirect);
    }
    let encodings = answer.headers.get_all(header::CONTENT_ENCODING);
    if encodings
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(PassThroughError::Unreadable);
    }
    let token_refused =
        status.is_client_error() && matches!(error::from_answer(&answer, now), ApiError::Unauthorized { .. });
    let mut headers = HeaderMap::new();
    copy(&ANSWER_HEADERS, &answer.headers, &mut headers);
    if let Some(wait) = retry_after(&answer.headers, &now) {
        headers.insert(header::RETRY_AFTER, seconds(wait).into());
    }
    let (body, withheld) = if status.is_success() {
        withheld::withhold(answer.body).map_err(|_| PassThroughError::Unreadable)?
    } else {
        (answer.body, Vec::new())
    };
    Ok(PassedAnswer {
        status,
        headers,
        body,
        withheld,
        token_refused,
    })
}

/// Rounded up, so that nobody comes back too early.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn copy(names: &[HeaderName], from: &HeaderMap, to: &mut HeaderMap) {
    for name in names {
        for value in from.get_all(name) {
            to.append(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests;
