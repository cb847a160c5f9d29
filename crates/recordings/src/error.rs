//! What can go wrong in this room. No text holds a URL, a token or a byte of a body (INV-3).

use std::time::Duration;

use domicile_egress::EgressError;
use domicile_kernel::Fate;
use domicile_leases::{JobError, LeaseError};
use domicile_objects::ObjectsError;
use domicile_store::{StoreError, TxError};
use domicile_vault::VaultError;
use domicile_zoom::api::ApiError;
use domicile_zoom::event::EventError;
use http::StatusCode;
use thiserror::Error;

use crate::inspect::Rejection;

/// Why a download did not bring the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The download URL cannot be read.
    #[error("the download URL is not a URL")]
    NotAUrl,
    /// The download URL is not below `DOMICILE_ZOOM_HOSTS`.
    #[error("the download host is not one of the allowed Zoom hosts (DOMICILE_ZOOM_HOSTS)")]
    HostNotAllowed,
    /// No answer, not a whole one, or a redirect to where the fence does not let us go.
    #[error("the download failed")]
    Egress(#[source] EgressError),
    /// An answer that is no file.
    #[error("the download was answered with status {status}")]
    Status {
        /// The HTTP status.
        status: StatusCode,
        /// How long the other side wants us to wait.
        retry_after: Option<Duration>,
    },
    /// A web page with status 200 in the place of the file: a refusal (Zoom answers some so).
    #[error("a page of HTML was served instead of the file")]
    Html,
    /// The bytes are packed, so they are not those of the file.
    #[error("the file was served with a content encoding")]
    Encoded,
    /// Nothing was served.
    #[error("nothing was served although the file has a size")]
    Empty,
    /// The first bytes are those of something else.
    #[error("the first bytes are not those of a {extension} file")]
    WrongContent {
        /// The ending that the file should have.
        extension: String,
    },
    /// The size is not the announced one.
    #[error("Zoom announced {announced_bytes} bytes and serves {found}")]
    WrongSize {
        /// What Zoom announced.
        announced_bytes: u64,
        /// What came, or was about to come.
        found: FoundSize,
    },
    /// The storage failed.
    #[error("the file could not be written to storage")]
    Storage(#[from] ObjectsError),
}

/// How many bytes came where another number was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundSize {
    /// So many, at the end of the body or by its `Content-Length`.
    Exactly(u64),
    /// More than announced; the rest was not read.
    More,
}

impl std::fmt::Display for FoundSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(bytes) => write!(f, "{bytes}"),
            Self::More => f.write_str("more"),
        }
    }
}

impl FetchError {
    pub(crate) fn rejected(
        rejection: Rejection,
        extension: &str,
        announced: Option<u64>,
        found: FoundSize,
    ) -> Self {
        match rejection {
            Rejection::Html => Self::Html,
            Rejection::Empty => Self::Empty,
            Rejection::WrongContent => Self::WrongContent {
                extension: extension.to_owned(),
            },
            Rejection::WrongSize => Self::WrongSize {
                announced_bytes: announced.unwrap_or_default(),
                found,
            },
        }
    }

    /// The class that is stored and counted.
    pub fn class(&self) -> &'static str {
        match self {
            Self::NotAUrl => "bad_download_url",
            Self::HostNotAllowed | Self::Egress(EgressError::Refused(_)) => "host_refused",
            Self::Egress(EgressError::Broken {
                phase: domicile_egress::TimeoutPhase::Body,
                ..
            }) => "truncated_body",
            Self::Egress(error) => error.kind(),
            Self::Status { status, .. } => match status.as_u16() {
                401 | 403 => "unauthorized",
                404 | 410 => "not_found",
                429 => "rate_limited",
                500.. => "server_error",
                _ => "unexpected_status",
            },
            Self::Html => "html_instead_of_media",
            Self::Encoded => "content_encoded",
            Self::Empty => "empty_body",
            Self::WrongContent { .. } => "wrong_content",
            Self::WrongSize { .. } => "wrong_size",
            Self::Storage(_) => "storage",
        }
    }

    /// Whether another attempt may bring the file.
    pub fn fate(&self) -> Fate {
        match self {
            Self::NotAUrl | Self::HostNotAllowed => Fate::Final,
            Self::Egress(error) => error.fate(),
            Self::Status { retry_after, .. } => Fate::Retry { after: *retry_after },
            Self::Storage(error) => error.fate(),
            Self::Html | Self::Encoded | Self::Empty | Self::WrongContent { .. } | Self::WrongSize { .. } => {
                Fate::RETRY
            }
        }
    }

    /// True where another credential may open what this one did not.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Html => true,
            Self::Status { status, .. } => {
                matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            }
            _ => false,
        }
    }
}

/// A failure of one of this room's jobs.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordingsError {
    /// A job's key is not what this room writes: a defect.
    #[error("the job's key is malformed")]
    MalformedKey,
    /// The body of an event is not one that can be acted on.
    #[error("the event cannot be read")]
    Event(#[source] EventError),
    /// The event is about another Zoom account than the link: a defect of routing (INV-7).
    #[error("the event is about another Zoom account than the link")]
    OtherAccount,
    /// A download failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Zoom's API gave no fresh URL.
    #[error("Zoom's API gave no fresh download URL")]
    Api(#[source] ApiError),
    /// The API does not list the file, or not as ready.
    #[error("Zoom's API does not offer the file")]
    NotOffered,
    /// A sealed value is not what this room seals: a defect.
    #[error("the sealed value in {0} cannot be read")]
    Sealed(&'static str),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The lease was lost, or its database failed.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A port failed, with a class of its own.
    #[error("{}", .0.class())]
    Port(#[source] JobError),
}

impl RecordingsError {
    /// The class that is stored and counted.
    pub fn class(&self) -> &'static str {
        match self {
            Self::MalformedKey => "malformed_key",
            Self::Event(_) => "malformed_event",
            Self::OtherAccount => "other_account",
            Self::Fetch(error) => error.class(),
            Self::Api(error) => match error {
                ApiError::Unauthorized { .. } => "api_unauthorized",
                ApiError::MissingScopes { .. } => "api_missing_scopes",
                ApiError::NotFound { .. } => "not_found",
                ApiError::RateLimited { .. } => "rate_limited",
                ApiError::Refused { .. } => "api_refused",
                ApiError::HostNotAllowed => "host_refused",
                _ => "api_unavailable",
            },
            Self::NotOffered => "not_offered",
            Self::Sealed(_) => "malformed_secret",
            Self::Vault(VaultError::Destroyed(_)) => "erased",
            Self::Vault(_) => "vault",
            Self::Lease(LeaseError::Lost) => "lease_lost",
            Self::Lease(LeaseError::Store(_)) | Self::Store(_) => "database",
            Self::Port(error) => error.class(),
        }
    }

    /// Whether another attempt may succeed.
    pub fn fate(&self) -> Fate {
        match self {
            Self::MalformedKey | Self::Event(_) | Self::OtherAccount | Self::Sealed(_) => Fate::Final,
            // The next attempt comes with a fresh access token, and what is not there may still come.
            Self::Api(ApiError::Unauthorized { .. } | ApiError::NotFound { .. })
            | Self::NotOffered
            | Self::Lease(LeaseError::Lost) => Fate::RETRY,
            Self::Fetch(error) => error.fate(),
            Self::Api(error) => error.fate(),
            Self::Vault(error) => error.fate(),
            Self::Lease(LeaseError::Store(error)) | Self::Store(error) => error.fate(),
            Self::Port(error) => error.fate(),
        }
    }
}

impl TxError for RecordingsError {
    fn as_store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) | Self::Lease(LeaseError::Store(error)) => Some(error),
            Self::Vault(error) => error.as_store_error(),
            _ => None,
        }
    }
}

impl From<RecordingsError> for JobError {
    fn from(error: RecordingsError) -> Self {
        match error {
            RecordingsError::Port(error) => error,
            other => Self::new(other.class(), other.fate(), other),
        }
    }
}
