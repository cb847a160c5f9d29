use std::time::Duration;

use domicile_egress::{EgressError, retry_after};
use domicile_kernel::{Fate, Timestamp};
use http::StatusCode;
use serde::Deserialize;
use thiserror::Error;

use crate::transport::Answer;
use crate::wire::{Object, Scalar};

/// Why there is no token. Nothing of a request or of an answer's free text is in it (INV-3).
#[derive(Debug, Error)]
pub enum OAuthError {
    /// The code, verifier or refresh token is dead. Another worker may have refreshed meanwhile: read the row again.
    #[error("Zoom refused the grant")]
    InvalidGrant {
        /// Zoom's own code where it gave one that is documented: 4735 the user is gone, 4738 an administrator disabled
        /// the app, 4741 revoked (see [`codes`](crate::oauth::codes)). It explains the refusal and never makes one.
        code: Option<u32>,
    },
    /// The app's id or secret is wrong: a fault of the settings, never of a grant.
    #[error("Zoom refused the client id or secret")]
    InvalidClient,
    /// Refused for another reason.
    #[error("Zoom refused the request with status {status}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// RFC 6749's `error`, where it is one of its words.
        error: Option<&'static str>,
        /// Zoom's own code.
        code: Option<u32>,
    },
    /// Too many requests.
    #[error("Zoom limits the rate of token requests")]
    RateLimited {
        /// How long Zoom wants us to wait.
        retry_after: Option<Duration>,
    },
    /// Zoom, or something before it, failed.
    #[error("Zoom's token endpoint answered with status {status}")]
    Unavailable {
        /// The HTTP status, 500 or above.
        status: u16,
        /// How long Zoom wants us to wait.
        retry_after: Option<Duration>,
    },
    /// The request was sent and no usable answer came back: the token may have been used up and replaced by one that
    /// nobody knows.
    #[error("the answer of Zoom's token endpoint was lost")]
    LostAnswer(#[source] LostCause),
    /// The request cannot have reached Zoom; nothing has changed there.
    #[error("Zoom's token endpoint cannot be reached")]
    Unreachable(#[source] EgressError),
    /// The settings make no valid HTTP request.
    #[error("the request to Zoom cannot be written")]
    NotARequest,
}

/// How an answer was lost.
#[derive(Debug, Error)]
pub enum LostCause {
    /// A time-out or a broken connection after sending.
    #[error("the connection failed after the request was sent")]
    Transport(#[source] EgressError),
    /// The caller's patience ended first.
    #[error("no answer came in time")]
    Silence,
    /// A success that holds no token.
    #[error("the answer was a success without a readable token")]
    Unreadable,
}

/// Zoom's numbers for refused grants (Zoom: OAuth error messages).
pub mod codes {
    /// The client id or secret is wrong.
    pub const CLIENT_WRONG: [u32; 2] = [4702, 4704];
    /// The code has expired or is not valid.
    pub const CODE_DEAD: [u32; 2] = [4733, 4734];
    /// The user who owned the token does not exist any more.
    pub const USER_GONE: u32 = 4735;
    /// The refresh token was not found.
    pub const REFRESH_TOKEN_NOT_FOUND: u32 = 4737;
    /// The account's administrator disabled the app.
    pub const APP_DISABLED_BY_ADMIN: u32 = 4738;
    /// A token of an old version was used too late.
    pub const TOLERANCE_EXCEEDED: u32 = 4740;
    /// The token was revoked: authorized again, removed, password changed, or ended by an administrator.
    pub const TOKEN_REVOKED: u32 = 4741;

    /// Whether this number says why a grant is dead.
    pub(super) fn explains_a_dead_grant(code: u32) -> bool {
        CODE_DEAD.contains(&code)
            || [
                USER_GONE,
                REFRESH_TOKEN_NOT_FOUND,
                APP_DISABLED_BY_ADMIN,
                TOLERANCE_EXCEEDED,
                TOKEN_REVOKED,
            ]
            .contains(&code)
    }
}

impl OAuthError {
    /// Whether the same call may be made again. A lost answer may be tried once more with the same token.
    pub fn fate(&self) -> Fate {
        match self {
            Self::InvalidGrant { .. } | Self::InvalidClient | Self::Rejected { .. } | Self::NotARequest => {
                Fate::Final
            }
            Self::RateLimited { retry_after } | Self::Unavailable { retry_after, .. } => {
                Fate::Retry { after: *retry_after }
            }
            Self::LostAnswer(_) => Fate::RETRY,
            Self::Unreachable(cause) => cause.fate(),
        }
    }

    /// True when Zoom may have ended the token that was sent and made another: the grant is unsure.
    pub fn may_have_rotated(&self) -> bool {
        matches!(self, Self::LostAnswer(_) | Self::Unavailable { .. })
    }

    /// True when the grant itself is at an end, if nobody else has renewed it meanwhile.
    pub fn ends_grant(&self) -> bool {
        matches!(self, Self::InvalidGrant { .. })
    }
}

#[derive(Deserialize, Default)]
struct Body {
    #[serde(default)]
    error: Scalar,
    // Three spellings, of the token endpoint, the authorize page and the API.
    #[serde(default, rename = "errorCode")]
    error_code: Scalar,
    #[serde(default, rename = "error_code")]
    error_code_snake: Scalar,
    #[serde(default)]
    code: Scalar,
    #[serde(default)]
    reason: Scalar,
}

// RFC 6749 section 5.2, RFC 8628 section 3.5: a free text of the answer would end up in logs.
const KNOWN_ERRORS: [&str; 8] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "access_denied",
    "invalid_token",
];

/// Reads an answer that is no success. RFC 6749's `error` alone decides; Zoom's numbers only explain it.
pub(super) fn from_answer(answer: &Answer, now: Timestamp) -> OAuthError {
    let status = answer.status.as_u16();
    let retry_after = retry_after(&answer.headers, &now);
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        return OAuthError::RateLimited { retry_after };
    }
    if answer.status.is_server_error() {
        return OAuthError::Unavailable { status, retry_after };
    }
    let body = serde_json::from_slice::<Object<Body>>(&answer.body)
        .ok()
        .and_then(|object| object.0)
        .unwrap_or_default();
    let code = [&body.error_code, &body.error_code_snake, &body.code]
        .into_iter()
        .find_map(Scalar::unsigned)
        .and_then(|code| u32::try_from(code).ok());
    let error = body
        .error
        .text()
        .and_then(|text| KNOWN_ERRORS.into_iter().find(|known| *known == text));
    match (error, code) {
        (Some("invalid_grant"), code) if answer.status.is_client_error() => {
            let code = code.filter(|code| codes::explains_a_dead_grant(*code));
            let code = code.or_else(|| code_in(&body.reason.text().unwrap_or_default()));
            OAuthError::InvalidGrant { code }
        }
        (Some("invalid_client"), _) => OAuthError::InvalidClient,
        (None, Some(code)) if codes::CLIENT_WRONG.contains(&code) => OAuthError::InvalidClient,
        (error, code) => OAuthError::Rejected { status, error, code },
    }
}

/// The one documented number that stands by itself in a text for people; none where there are two.
fn code_in(reason: &str) -> Option<u32> {
    let mut found = reason
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() == 4)
        .filter_map(|word| word.parse().ok())
        .filter(|code| codes::explains_a_dead_grant(*code));
    let first = found.next()?;
    found.all(|code| code == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_in_a_text_counts_where_it_is_documented_and_alone() {
        for (reason, code) in [
            ("The token has been revoked. (4741)", Some(4741)),
            ("4735", Some(4735)),
            ("code:4738, see 4738", Some(4738)),
            ("Invalid Token!", None),
            ("4741 or 4735", None),
            ("14741", None),
            ("x4741", None),
            ("4741x", None),
            ("4700", None),
            ("", None),
        ] {
            assert_eq!(code_in(reason), code, "{reason}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(reason in "\\PC{0,40}") {
            if let Some(code) = code_in(&reason) {
                prop_assert!(reason.contains(&code.to_string()));
            }
        }
    }
}
