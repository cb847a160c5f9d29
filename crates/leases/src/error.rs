//! What can go wrong with a job.

use domicile_kernel::Fate;
use domicile_store::StoreError;
use thiserror::Error;

/// A lease could not be used.
#[derive(Debug, Error)]
pub enum LeaseError {
    /// It expired and another worker may hold the job; nothing of the attempt may be kept.
    #[error("the lease was lost")]
    Lost,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A failed attempt, with its fate and a class that may be stored and counted.
#[derive(Debug, Error)]
#[error("{class}")]
pub struct JobError {
    class: &'static str,
    fate: Fate,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl JobError {
    /// A failure with the fate that its cause knows.
    pub fn new(
        class: &'static str,
        fate: Fate,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            class,
            fate,
            source: source.into(),
        }
    }

    /// A failure that another attempt may mend.
    pub fn retry(class: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(class, Fate::RETRY, source)
    }

    /// A failure that no further attempt can mend.
    pub fn fail(class: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(class, Fate::Final, source)
    }

    /// A short, fixed name of the failure, fit for metrics and rows.
    pub fn class(&self) -> &'static str {
        self.class
    }

    /// Whether to try again.
    pub fn fate(&self) -> Fate {
        self.fate
    }
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        Self::new("database", error.fate(), error)
    }
}

impl From<LeaseError> for JobError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Lost => Self::retry("lease_lost", error),
            LeaseError::Store(error) => error.into(),
        }
    }
}

impl domicile_store::TxError for LeaseError {
    fn as_store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::Lost => None,
        }
    }
}
