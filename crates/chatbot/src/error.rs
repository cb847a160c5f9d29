//! What can go wrong with a message.

use domicile_kernel::Fate;
use domicile_kernel::state::InvalidTransition;
use domicile_leases::{JobError, LeaseError};
use domicile_store::{StoreError, TxError};
use domicile_vault::VaultError;
use domicile_zoom::chat::ChatError;
use domicile_zoom::chat::content::ContentFault;
use thiserror::Error;

/// A failure of this room. No text holds anything of a message.
#[derive(Debug, Error)]
pub enum ChatbotError {
    /// The key of a job is no id of a message.
    #[error("the job's key is no message id")]
    MalformedKey,
    /// What was sealed is no longer what this version writes.
    #[error("the sealed {0} cannot be read")]
    Sealed(&'static str),
    /// A content that was kept is not one that may be sent.
    #[error("the content of a message is not valid: {}", first(.0))]
    Content(Vec<ContentFault>),
    /// Zoom could not be asked, or refused.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// A state that does not follow from the one before: a defect.
    #[error(transparent)]
    Transition(#[from] InvalidTransition),
    /// The link of who spoke, or the key of their account, is not what it was a moment ago.
    #[error("the speaker's link or key changed meanwhile")]
    Changed,
    /// Something could not be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The lease was lost.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn first(faults: &[ContentFault]) -> String {
    faults.first().map(ToString::to_string).unwrap_or_default()
}

impl ChatbotError {
    /// Whether another attempt may succeed.
    pub fn fate(&self) -> Fate {
        match self {
            Self::MalformedKey | Self::Sealed(_) | Self::Content(_) | Self::Transition(_) => Fate::Final,
            Self::Chat(error) => error.fate(),
            Self::Vault(error) => error.fate(),
            Self::Changed | Self::Lease(LeaseError::Lost) => Fate::RETRY,
            Self::Lease(LeaseError::Store(error)) | Self::Store(error) => error.fate(),
        }
    }

    /// A short, fixed name for rows and metrics.
    pub fn class(&self) -> &'static str {
        match self {
            Self::MalformedKey => "malformed_key",
            Self::Sealed(_) => "sealed",
            Self::Content(_) => "invalid_content",
            Self::Chat(error) => error.class(),
            Self::Transition(_) => "transition",
            Self::Changed => "link_changed",
            Self::Vault(_) => "vault",
            Self::Lease(LeaseError::Lost) => "lease_lost",
            Self::Lease(LeaseError::Store(_)) | Self::Store(_) => "database",
        }
    }
}

impl TxError for ChatbotError {
    fn as_store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) | Self::Lease(LeaseError::Store(error)) => Some(error),
            Self::Vault(error) => error.as_store_error(),
            _ => None,
        }
    }
}

impl From<ChatbotError> for JobError {
    fn from(error: ChatbotError) -> Self {
        Self::new(error.class(), error.fate(), error)
    }
}
