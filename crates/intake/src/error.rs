//! Why something could not be taken in or read again.

use std::time::Duration;

use domicile_kernel::Fate;
use domicile_store::StoreError;
use domicile_vault::VaultError;
use thiserror::Error;

use crate::encoding::EncodingError;

/// A failure of the inbox. None of its texts holds anything of a body.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// The commit was not confirmed in time. It may still have happened: a repetition is then a duplicate.
    #[error("the inbox did not confirm its commit within {} ms", .0.as_millis())]
    TooSlow(Duration),
    /// As many requests wait for the database as may.
    #[error("too many requests wait for the inbox")]
    Full,
    /// The database does not answer. A commit under way may still have happened: a repetition is then a duplicate.
    #[error("the inbox's database does not answer")]
    Away,
    /// The account's key was destroyed again and again while its event was being kept.
    #[error("the key that sealed the body was destroyed before it was kept")]
    KeyDestroyed,
    /// The body could not be coded or decoded.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// The body could not be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntakeError {
    /// Whether the same operation may succeed later.
    pub fn fate(&self) -> Fate {
        match self {
            Self::TooSlow(_) | Self::Full | Self::Away | Self::KeyDestroyed => Fate::RETRY,
            Self::Encoding(_) => Fate::Final,
            Self::Vault(error) => error.fate(),
            Self::Store(error) => error.fate(),
        }
    }
}
