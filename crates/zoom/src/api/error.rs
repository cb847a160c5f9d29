use std::time::Duration;

use domicile_egress::{EgressError, retry_after};
use domicile_kernel::{Fate, Timestamp};
use http::StatusCode;
use serde::Deserialize;
use thiserror::Error;

use crate::transport::Answer;
use crate::wire::{Object, Scalar};

// Zoom names no wait with its per-second limit; a second is over then.
const PER_SECOND_LIMIT: Duration = Duration::from_secs(1);

/// Why a call to the API failed (Zoom: API errors, API rate limits). Zoom's free texts are not in it (INV-3).
#[derive(Debug, Error)]
pub enum ApiError {
    /// The access token is expired, wrong or revoked: refresh once, then ask the user.
    #[error("Zoom refused the access token")]
    Unauthorized {
        /// Zoom's own code, mostly 124.
        code: Option<u32>,
    },
    /// The app lacks scopes: a fault of its configuration, or of a grant that is older than they are.
    #[error("the grant lacks the scopes {scopes:?}")]
    MissingScopes {
        /// Those that Zoom lists, if any.
        scopes: Vec<String>,
    },
    /// No such thing, or not ready yet.
    #[error("Zoom does not know it (code {code:?})")]
    NotFound {
        /// Zoom's own code; see [`codes`].
        code: Option<u32>,
    },
    /// Too many requests for this Zoom account, by all its apps together.
    #[error("Zoom limits the rate for this account")]
    RateLimited {
        /// How long to wait; after a daily limit it may be hours.
        retry_after: Duration,
    },
    /// Refused for another reason.
    #[error("Zoom refused the call with status {status} (code {code:?})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Zoom's own code.
        code: Option<u32>,
    },
    /// Zoom, or something before it, failed.
    #[error("Zoom answered with status {status}")]
    Unavailable {
        /// The HTTP status, 500 or above.
        status: u16,
        /// How long Zoom wants us to wait.
        retry_after: Option<Duration>,
    },
    /// A success that lacks what it must hold.
    #[error("Zoom's answer cannot be used: {0}")]
    Unreadable(&'static str),
    /// The base of the grant is no longer among the allowed hosts.
    #[error("the API host is not one of the allowed Zoom hosts")]
    HostNotAllowed,
    /// Base, path or token make no valid HTTP request.
    #[error("the request to Zoom cannot be written")]
    NotARequest,
    /// No answer.
    #[error("Zoom's API cannot be reached")]
    Egress(#[source] EgressError),
}

/// Zoom's numbers in API errors.
pub mod codes {
    /// The access token is not valid.
    pub const INVALID_ACCESS_TOKEN: u32 = 124;
    /// The user is not there, or not in this account.
    pub const USER_NOT_FOUND: u32 = 1001;
    /// The user belongs to another account.
    pub const USER_OF_ANOTHER_ACCOUNT: u32 = 1010;
    /// The meeting is not there.
    pub const MEETING_NOT_FOUND: u32 = 3001;
    /// There is no recording, or not yet.
    pub const NO_RECORDING: u32 = 3301;
    /// The token lacks scopes; also the catch-all for invalid tokens.
    pub const INVALID_TOKEN_OR_SCOPES: u32 = 4700;
    /// The token lacks the scopes that the message lists.
    pub const MISSING_SCOPES: u32 = 4711;
}

impl ApiError {
    /// Whether the same call may be made again. With a fresh token, [`ApiError::Unauthorized`] is another call.
    pub fn fate(&self) -> Fate {
        match self {
            Self::RateLimited { retry_after } => Fate::Retry {
                after: Some(*retry_after),
            },
            Self::Unavailable { retry_after, .. } => Fate::Retry { after: *retry_after },
            Self::Unreadable(_) => Fate::RETRY,
            Self::NotFound { .. } if self.is_not_ready() => Fate::RETRY,
            Self::Egress(cause) => cause.fate(),
            Self::Unauthorized { .. }
            | Self::MissingScopes { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::HostNotAllowed
            | Self::NotARequest => Fate::Final,
        }
    }

    /// True for "no recording here", which Zoom also says shortly before there is one.
    pub fn is_not_ready(&self) -> bool {
        matches!(
            self,
            Self::NotFound {
                code: Some(codes::NO_RECORDING)
            }
        )
    }
}

#[derive(Deserialize, Default)]
struct Body {
    #[serde(default)]
    code: Scalar,
    #[serde(default)]
    message: Scalar,
}

/// Reads an answer that is no success.
pub(crate) fn from_answer(answer: &Answer, now: Timestamp) -> ApiError {
    let status = answer.status.as_u16();
    let wait = retry_after(&answer.headers, &now);
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        return ApiError::RateLimited {
            retry_after: wait.unwrap_or(PER_SECOND_LIMIT),
        };
    }
    if answer.status.is_server_error() {
        return ApiError::Unavailable {
            status,
            retry_after: wait,
        };
    }
    let body = serde_json::from_slice::<Object<Body>>(&answer.body)
        .ok()
        .and_then(|object| object.0)
        .unwrap_or_default();
    let code = body.code.unsigned().and_then(|code| u32::try_from(code).ok());
    // Codes 4700, 4711 and 104 with status 400 or 401 all say it; only the words tell it from a dead token.
    if let Some(message) = body.message.text()
        && message.contains("does not contain scopes")
    {
        return ApiError::MissingScopes {
            scopes: listed_scopes(&message),
        };
    }
    match answer.status {
        StatusCode::UNAUTHORIZED => ApiError::Unauthorized { code },
        StatusCode::BAD_REQUEST if code == Some(codes::INVALID_ACCESS_TOKEN) => {
            ApiError::Unauthorized { code }
        }
        StatusCode::NOT_FOUND => ApiError::NotFound { code },
        _ => ApiError::Refused { status, code },
    }
}

// "... does not contain scopes:[a:b, a:b:admin]."
fn listed_scopes(message: &str) -> Vec<String> {
    let list = message
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or("", |(list, _)| list);
    list.split(',')
        .map(str::trim)
        .filter(|scope| {
            (1..=100).contains(&scope.len())
                && scope
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_:-".contains(&b))
        })
        .take(20)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use chrono::{TimeZone, Utc};
    use http::{HeaderMap, HeaderValue, header};

    fn error(status: u16, retry_after: Option<&'static str>, body: &'static str) -> ApiError {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
        }
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
        };
        from_answer(&answer, Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap())
    }

    #[test]
    fn a_dead_token_is_told_from_missing_scopes() {
        let dead = error(401, None, r#"{"code":124,"message":"Invalid access token."}"#);
        assert!(matches!(dead, ApiError::Unauthorized { code: Some(124) }));
        for (status, code) in [(400, 4711), (401, 4711), (401, 104), (401, 4700)] {
            let body: &'static str = format!(
                r#"{{"code":{code},"message":"Invalid access token, does not contain scopes:[user:read:user, user:read:user:admin]."}}"#
            )
            .leak();
            let ApiError::MissingScopes { scopes } = error(status, None, body) else {
                panic!("{status} {code}")
            };
            assert_eq!(scopes, ["user:read:user", "user:read:user:admin"]);
        }
        let unlisted = error(
            401,
            None,
            r#"{"code":4700,"message":"Invalid access token, does not contain scopes."}"#,
        );
        assert!(matches!(unlisted, ApiError::MissingScopes { scopes } if scopes.is_empty()));
    }

    #[test]
    fn a_recording_that_is_not_there_may_come() {
        let not_yet = error(
            404,
            None,
            r#"{"code":3301,"message":"This recording does not exist."}"#,
        );
        assert!(not_yet.is_not_ready());
        assert_eq!(not_yet.fate(), Fate::RETRY);
        let never = error(
            404,
            None,
            r#"{"code":"3001","message":"Meeting does not exist."}"#,
        );
        assert!(matches!(never, ApiError::NotFound { code: Some(3001) }));
        assert_eq!(never.fate(), Fate::Final);
    }

    #[test]
    fn a_rate_limit_says_how_long() {
        let after = |seconds| Fate::Retry {
            after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(error(429, None, "").fate(), after(1));
        assert_eq!(error(429, Some("7"), "").fate(), after(7));
        assert_eq!(error(429, Some("2026-11-22T12:30:00Z"), "").fate(), after(1800));
    }

    #[test]
    fn an_outage_may_be_tried_again_and_a_refusal_not() {
        assert!(error(503, None, "<html>").fate().is_retry());
        let refused = error(400, None, r#"{"code":200,"message":"PLANTED"}"#);
        assert!(matches!(
            refused,
            ApiError::Refused {
                status: 400,
                code: Some(200)
            }
        ));
        assert_eq!(refused.fate(), Fate::Final);
        assert!(!format!("{refused} {refused:?}").contains("PLANTED"));
    }
}
