use std::time::Duration;

use domicile_egress::{EgressError, retry_after};
use domicile_kernel::{Fate, Timestamp};
use http::StatusCode;
use serde::Deserialize;
use thiserror::Error;

use crate::oauth::OAuthError;
use crate::transport::{Answer, NoAnswer};
use crate::wire::{Object, Scalar};

// Zoom names no wait with its per-second limit; a second is over then.
const PER_SECOND_LIMIT: Duration = Duration::from_secs(1);

/// Zoom's numbers in the errors of the Chatbot API.
pub mod codes {
    /// The body is not one that Zoom takes.
    pub const INVALID_BODY: u32 = 7001;
    /// The bot's address is malformed.
    pub const INVALID_ROBOT: u32 = 7002;
    /// No bot has this address.
    pub const UNKNOWN_ROBOT: u32 = 7003;
    /// The bot is not installed there, or there is no such channel or user.
    pub const NOT_AUTHORIZED: u32 = 7004;
    /// The token is missing or not valid.
    pub const INVALID_TOKEN: u32 = 7010;
    /// The message is not there.
    pub const NO_MESSAGE: u32 = 8001;
    /// The link that asked for a preview is not there.
    pub const NO_UNFURL: u32 = 8002;
}

/// Why a call of the Chatbot API failed. Zoom's free texts are not in it (INV-3).
#[derive(Debug, Error)]
pub enum ChatError {
    /// 7001: Zoom does not take the content.
    #[error("Zoom refused the content of the message")]
    InvalidBody,
    /// 7010, or another 401: the token is dead. The client has tried a fresh one before it says so.
    #[error("Zoom refused the chatbot token")]
    Unauthorized,
    /// 7002 or 7003: the region's `DOMICILE_BOT_ROBOT_JID` is not the bot of its Marketplace app.
    #[error("Zoom knows no bot with the address that is configured")]
    UnknownRobot,
    /// 7004: the bot is not installed in the account, or the channel or user is not there.
    #[error("the bot is not authorized there, or there is no such channel or user")]
    NotAuthorized,
    /// 8001.
    #[error("Zoom does not know the message")]
    NoMessage,
    /// 8002.
    #[error("Zoom does not know the link that asked for a preview")]
    NoUnfurl,
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
    /// The token's host is not among the allowed hosts.
    #[error("the API host is not one of the allowed Zoom hosts")]
    HostNotAllowed,
    /// Ids or token make no valid HTTP request.
    #[error("the request to Zoom cannot be written")]
    NotARequest,
    /// There is no token to call with; nothing was sent.
    #[error("there is no chatbot token")]
    NoToken(#[source] OAuthError),
    /// The request cannot have reached Zoom.
    #[error("Zoom's chat API cannot be reached")]
    Unreachable(#[source] EgressError),
    /// The request was sent, and no whole answer came back.
    #[error("the answer of Zoom's chat API was lost")]
    LostAnswer(#[source] EgressError),
}

impl ChatError {
    /// Whether the same call may be made again; for a first send only where [`ChatError::may_have_taken_effect`] denies.
    pub fn fate(&self) -> Fate {
        match self {
            Self::RateLimited { retry_after } => Fate::Retry {
                after: Some(*retry_after),
            },
            Self::Unavailable { retry_after, .. } => Fate::Retry { after: *retry_after },
            Self::Unreachable(cause) | Self::LostAnswer(cause) => cause.fate(),
            Self::NoToken(cause) => match cause {
                OAuthError::RateLimited { retry_after } | OAuthError::Unavailable { retry_after, .. } => {
                    Fate::Retry { after: *retry_after }
                }
                OAuthError::LostAnswer(_) | OAuthError::Unreachable(_) => Fate::RETRY,
                // Wrong settings are mended by people, and what is to be said waits for them as long as it may.
                OAuthError::InvalidClient | OAuthError::InvalidGrant { .. } | OAuthError::Rejected { .. } => {
                    Fate::RETRY
                }
                OAuthError::NotARequest => Fate::Final,
            },
            // A fresh token was refused too: Zoom may have lost its own memory of it for a moment.
            Self::Unauthorized => Fate::RETRY,
            Self::InvalidBody
            | Self::UnknownRobot
            | Self::NotAuthorized
            | Self::NoMessage
            | Self::NoUnfurl
            | Self::Refused { .. }
            | Self::HostNotAllowed
            | Self::NotARequest => Fate::Final,
        }
    }

    /// True where Zoom may have done what was asked although it did not say so. A 503 that names a wait is Zoom's word
    /// that it did not; any other failure of a server may have come after the deed.
    pub fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::LostAnswer(_) => true,
            Self::Unavailable { status, retry_after } => {
                !(*status == StatusCode::SERVICE_UNAVAILABLE.as_u16() && retry_after.is_some())
            }
            _ => false,
        }
    }

    /// A short, fixed name for rows and metrics.
    pub fn class(&self) -> &'static str {
        match self {
            Self::InvalidBody => "invalid_content",
            Self::Unauthorized => "token_refused",
            Self::UnknownRobot => "unknown_robot",
            Self::NotAuthorized => "not_authorized",
            Self::NoMessage => "message_not_found",
            Self::NoUnfurl => "unfurl_not_found",
            Self::RateLimited { .. } => "rate_limited",
            Self::Refused { .. } => "refused",
            Self::Unavailable { .. } => "zoom_unavailable",
            Self::HostNotAllowed => "host_not_allowed",
            Self::NotARequest => "not_a_request",
            Self::NoToken(_) => "no_token",
            Self::Unreachable(_) => "zoom_unreachable",
            Self::LostAnswer(_) => "answer_lost",
        }
    }
}

impl From<NoAnswer> for ChatError {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::NotSent(cause) => Self::Unreachable(cause),
            NoAnswer::Lost(cause) => Self::LostAnswer(cause),
        }
    }
}

#[derive(Deserialize, Default)]
struct Body {
    #[serde(default)]
    code: Scalar,
}

/// Reads an answer that is no success.
pub(super) fn from_answer(answer: &Answer, now: Timestamp) -> ChatError {
    let status = answer.status.as_u16();
    let wait = retry_after(&answer.headers, &now);
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        return ChatError::RateLimited {
            retry_after: wait.unwrap_or(PER_SECOND_LIMIT),
        };
    }
    if answer.status.is_server_error() {
        return ChatError::Unavailable {
            status,
            retry_after: wait,
        };
    }
    let body = serde_json::from_slice::<Object<Body>>(&answer.body)
        .ok()
        .and_then(|object| object.0)
        .unwrap_or_default();
    let code = body.code.unsigned().and_then(|code| u32::try_from(code).ok());
    match (answer.status, code) {
        (_, Some(codes::INVALID_TOKEN)) | (StatusCode::UNAUTHORIZED, _) => ChatError::Unauthorized,
        (_, Some(codes::INVALID_BODY)) => ChatError::InvalidBody,
        (_, Some(codes::INVALID_ROBOT | codes::UNKNOWN_ROBOT)) => ChatError::UnknownRobot,
        (_, Some(codes::NOT_AUTHORIZED)) => ChatError::NotAuthorized,
        (_, Some(codes::NO_MESSAGE)) => ChatError::NoMessage,
        (_, Some(codes::NO_UNFURL)) => ChatError::NoUnfurl,
        (_, code) => ChatError::Refused { status, code },
    }
}
