//! Why something could not be sealed or opened.

use std::fmt;

use domicile_kernel::{Fate, KeyId};
use domicile_store::StoreError;
use thiserror::Error;

use crate::kms::InvalidKmsArn;
use crate::provider::KeyError;

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
    /// A region key with the right id does not unwrap a data key: it is another key than the one that wrapped it.
    #[error(
        "the region key {region_key:?} does not unwrap the data key {data_key}: it is not the key that wrapped it"
    )]
    RegionKeyWrong {
        /// The data key that cannot be unwrapped.
        data_key: KeyId,
        /// The region key's configured id.
        region_key: String,
    },
    /// A region key that is configured could not be used: it is disabled, denied, gone, or the way to it is broken.
    #[error("the region key {region_key:?} could not be used for the data key {data_key}")]
    RegionKey {
        /// The data key that was to be wrapped or unwrapped.
        data_key: KeyId,
        /// The region key's configured id.
        region_key: String,
        /// Why.
        source: KeyError,
    },
    /// Too many wait for their data keys, which happens while a key service is slow.
    #[error("the data key did not become ready in time: too many wait for the region keys")]
    Busy,
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
    /// Whether the same operation may succeed later. A region key that is missing or refused is mended by the operator, so it
    /// is retried.
    pub fn fate(&self) -> Fate {
        match self {
            Self::Store(error) => error.fate(),
            Self::RegionKey {
                source: KeyError::Cipher,
                ..
            }
            | Self::Destroyed(_)
            | Self::Unknown(_)
            | Self::Forged { .. }
            | Self::Malformed { .. }
            | Self::Cipher => Fate::Final,
            Self::RegionKeyMissing { .. }
            | Self::RegionKeyWrong { .. }
            | Self::RegionKey { .. }
            | Self::Busy => Fate::RETRY,
        }
    }
}

impl VaultError {
    /// What a region key said of a data key.
    pub(crate) fn of_key(region_key: &str, data_key: KeyId, source: KeyError) -> Self {
        let region_key = region_key.to_owned();
        match source {
            KeyError::Wrong => Self::RegionKeyWrong { data_key, region_key },
            source => Self::RegionKey {
                data_key,
                region_key,
                source,
            },
        }
    }

    /// The class, as metrics and reports count it.
    pub fn class(&self) -> &'static str {
        match self {
            Self::RegionKeyMissing { .. } => "missing",
            Self::RegionKeyWrong { .. } => "wrong",
            Self::RegionKey { source, .. } => source.class(),
            Self::Busy => "busy",
            Self::Destroyed(_) => "destroyed",
            Self::Unknown(_) => "unknown",
            Self::Forged { .. } => "forged",
            Self::Malformed { .. } => "malformed",
            Self::Cipher => "cipher",
            Self::Store(_) => "store",
        }
    }

    /// True when a region key itself is refused or not there, so that somebody has to mend it; false when the way to it or to
    /// the database is broken for now.
    pub(crate) fn is_refusal_of_key(&self) -> bool {
        match self {
            Self::RegionKeyMissing { .. } | Self::RegionKeyWrong { .. } => true,
            Self::RegionKey { source, .. } => source.is_refusal(),
            _ => false,
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

/// Why the region keys do not fit what is in the database, every fault of it (INV-10).
#[derive(Debug, Error)]
pub enum CheckError {
    /// Data keys hang on region keys that are missing or refused.
    #[error("DOMICILE_VAULT_KEYS does not fit the data keys in the database: {}", list(.0))]
    Unfit(Vec<UnfitKey>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One region key that does not fit.
#[derive(Debug, Error)]
pub enum UnfitKey {
    /// It is not configured.
    #[error(
        "{data_keys} data key(s) are wrapped by the region key {region_key:?}, which is not in the list; put it back, and \
         remove it only once `domicile keys status` says that nothing hangs on it"
    )]
    Missing {
        /// The region key's id.
        region_key: String,
        /// How many live data keys it wraps.
        data_keys: u64,
    },
    /// It is configured and refused.
    #[error("{}", chain(.0))]
    Refused(VaultError),
}

/// Why `DOMICILE_VAULT_KEYS` is not accepted: every fault of it.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{}", list(.0))]
pub struct InvalidVaultKeys(pub Vec<VaultKeyFault>);

/// One fault of `DOMICILE_VAULT_KEYS`. No text holds key material.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum VaultKeyFault {
    /// Nothing is in it.
    #[error("it holds no key; write id:base64 with a key of 32 bytes, or id:aws-kms:<key ARN>")]
    Empty,
    /// An entry has no id.
    #[error("entry {0} is neither of the form id:base64 nor id:aws-kms:<key ARN>")]
    Form(usize),
    /// An id has other characters than `[A-Za-z0-9_-]` or none or more than 64.
    #[error("the id of entry {0} is not 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'")]
    Id(usize),
    /// A key is not 32 bytes of base64.
    #[error("the key {0:?} is not base64 of exactly 32 bytes; `openssl rand -base64 32` makes one")]
    Key(String),
    /// A key at KMS is not named rightly.
    #[error("the key {id:?} is no key at AWS KMS: {reason}")]
    Arn {
        /// The entry's id.
        id: String,
        /// Why.
        reason: InvalidKmsArn,
    },
    /// A key at KMS where there is no way to KMS.
    #[error("the key {0:?} lies at AWS KMS, and there is no way there")]
    NoKms(String),
    /// Two entries have the same id.
    #[error("the id {0:?} stands twice; each key needs its own")]
    Twice(String),
}

fn list<T: fmt::Display>(faults: &[T]) -> String {
    let faults: Vec<_> = faults.iter().map(T::to_string).collect();
    faults.join("; ")
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
