//! Why an event could not be shown or delivered.

use domicile_egress::EgressError;
use domicile_kernel::{EventId, Fate};
use domicile_leases::JobError;
use domicile_store::StoreError;
use domicile_vault::VaultError;
use http::StatusCode;
use thiserror::Error;

/// A failure of this room. No text holds anything of an event's data, nor the path of the app's URL.
#[derive(Debug, Error)]
pub enum DeliveryError {
    /// The app answered, but not with 2xx.
    #[error("the app answered {0}")]
    Refused(StatusCode),
    /// The app could not be asked.
    #[error("the app could not be reached")]
    Unreachable(#[source] EgressError),
    /// The data of an event is no JSON: a defect of the room that wrote it.
    #[error("the data of event {0} is no JSON")]
    Malformed(EventId),
    /// The data could not be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeliveryError {
    /// Whether another attempt may succeed. Whatever the app or the way to it does may be mended while the mailbox waits,
    /// a wrong URL or a fence without it too.
    pub fn fate(&self) -> Fate {
        match self {
            Self::Refused(_) | Self::Unreachable(_) => Fate::RETRY,
            Self::Malformed(_) => Fate::Final,
            Self::Vault(error) => error.fate(),
            Self::Store(error) => error.fate(),
        }
    }

    /// A short, fixed name for rows and metrics.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Refused(status) if status.is_redirection() => "status_3xx",
            Self::Refused(status) if status.is_client_error() => "status_4xx",
            Self::Refused(status) if status.is_server_error() => "status_5xx",
            Self::Refused(_) => "status_other",
            Self::Unreachable(error) => error.kind(),
            Self::Malformed(_) => "malformed_event",
            Self::Vault(_) => "vault",
            Self::Store(_) => "database",
        }
    }
}

impl From<DeliveryError> for JobError {
    fn from(error: DeliveryError) -> Self {
        JobError::new(error.class(), error.fate(), error)
    }
}
