//! Why something could not be sealed or opened.

use domicile_kernel::{Fate, KeyId};
use domicile_store::StoreError;
use thiserror::Error;

/// A failure of the vault. None of its texts holds a key or a plaintext.
#[derive(Debug, Error)]
pub enum VaultError {
    /// A data key is wrapped by a region key that is not configured.
    #[error(
        "the data key {data_key} is wrapped by the region key {region_key:?}, which DOMICILE_VAULT_KEYS does not hold"
    )]
    RegionKeyMissing {
        /// The data key that cannot be unwrapped.
        data_key: KeyId,
        /// The region key's configured id.
        region_key: String,
    },
    /// A region key with the right id does not unwrap a data key: its bytes are not those that wrapped it.
    #[error(
        "the region key {region_key:?} does not unwrap the data key {data_key}: its bytes differ from those that wrapped it"
    )]
    RegionKeyWrong {
        /// The data key that cannot be unwrapped.
        data_key: KeyId,
        /// The region key's configured id.
        region_key: String,
    },
    /// The data was erased by destroying its key.
    #[error("the data key {0} was destroyed: what it sealed is erased")]
    Destroyed(KeyId),
    /// No such data key was ever made here.
    #[error("the data key {0} is unknown: the ciphertext comes from another region or database")]
    Unknown(KeyId),
    /// The ciphertext was changed, or was sealed for another place.
    #[error("the ciphertext in {table}.{column} was changed or moved: it does not open")]
    Forged {
        /// The table that it was read from.
        table: &'static str,
        /// The column that it was read from.
        column: &'static str,
    },
    /// The bytes are no ciphertext of this vault.
    #[error("the ciphertext in {table}.{column} is malformed")]
    Malformed {
        /// The table that it was read from.
        table: &'static str,
        /// The column that it was read from.
        column: &'static str,
    },
    /// The cipher refused to work: a defect.
    #[error("the cipher failed")]
    Cipher,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl VaultError {
    /// Whether the same operation may succeed later. A missing region key is mended by configuration, so it is retried.
    pub fn fate(&self) -> Fate {
        match self {
            Self::Store(error) => error.fate(),
            Self::RegionKeyMissing { .. } | Self::RegionKeyWrong { .. } => Fate::RETRY,
            Self::Destroyed(_)
            | Self::Unknown(_)
            | Self::Forged { .. }
            | Self::Malformed { .. }
            | Self::Cipher => Fate::Final,
        }
    }
}

impl domicile_store::TxError for VaultError {
    fn as_store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// Why `DOMICILE_VAULT_KEYS` is not accepted. No text holds key material.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidVaultKeys {
    /// Nothing is in it.
    #[error("it holds no key; expected id:base64 with a key of 32 bytes")]
    Empty,
    /// An entry is not of the form `id:base64`.
    #[error("entry {0} is not of the form id:base64")]
    Form(usize),
    /// An id has other characters than `[A-Za-z0-9_-]` or none or more than 64.
    #[error("the id of entry {0} is not 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'")]
    Id(usize),
    /// A key is not 32 bytes of base64.
    #[error("the key {0:?} is not base64 of exactly 32 bytes")]
    Key(String),
    /// Two entries have the same id.
    #[error("the id {0:?} stands twice")]
    Twice(String),
}
