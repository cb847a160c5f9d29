//! The port behind which a region key lies.

use async_trait::async_trait;
use domicile_kernel::{KeyId, Rng, Secret};
use thiserror::Error;

use crate::cipher::KEY_LEN;

/// The bytes of a data key, which seal one account's data.
pub type DataKeyBytes = Secret<[u8; KEY_LEN]>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// One of the region's key-encryption keys. What it wraps for one data key it unwraps for that one only.
#[async_trait]
pub trait KeyProvider: Send + Sync {
    /// The id that the operator gave it; it stands beside each data key that it wraps.
    fn id(&self) -> &str;

    /// What kind of key it is, in one word, for the operator.
    fn kind(&self) -> &'static str;

    /// Wraps a data key, bound to its id.
    async fn wrap(&self, rng: &dyn Rng, id: KeyId, data_key: &DataKeyBytes) -> Result<Vec<u8>, KeyError>;

    /// Unwraps what [`KeyProvider::wrap`] gave for the same id.
    async fn unwrap(&self, id: KeyId, wrapped: &[u8]) -> Result<DataKeyBytes, KeyError>;
}

/// Why a region key did not do what it was asked. No text holds anything that a key service said but its error code.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The bytes were wrapped by another key or for another data key, or were changed.
    #[error("it does not open these bytes")]
    Wrong,
    /// The key service knows no such key.
    #[error("the key service knows no such key")]
    NotFound,
    /// The key is there and may not be used now.
    #[error("it is disabled or waits for its deletion ({code})")]
    Disabled {
        /// The key service's code.
        code: String,
    },
    /// The key service does not let these credentials use it.
    #[error(
        "the key service denies its use to these credentials ({code}); they need kms:Encrypt and kms:Decrypt"
    )]
    Denied {
        /// The key service's code.
        code: String,
    },
    /// The key service refuses the call for another reason, such as the kind of key.
    #[error("the key service refuses it ({code}); a symmetric key for encryption and decryption is needed")]
    Unfit {
        /// The key service's code.
        code: String,
    },
    /// There are no credentials to call the key service with.
    #[error("the call to the key service cannot be signed")]
    Credentials(#[source] Source),
    /// The key service cannot be reached.
    #[error("the key service cannot be reached")]
    Unreachable(#[source] Source),
    /// The key service is overloaded or out of order.
    #[error("the key service cannot answer now ({code})")]
    Unavailable {
        /// The key service's code.
        code: String,
    },
    /// The key service's answer is not what its interface promises.
    #[error("the key service's answer is not understood")]
    Answer,
    /// The cipher refused to work: a defect.
    #[error("the cipher failed")]
    Cipher,
}

impl KeyError {
    /// True when the key itself is refused, and trying again changes nothing until somebody mends it. False when the way to
    /// it is broken for now.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Wrong
            | Self::NotFound
            | Self::Disabled { .. }
            | Self::Denied { .. }
            | Self::Unfit { .. }
            | Self::Cipher => true,
            Self::Credentials(_) | Self::Unreachable(_) | Self::Unavailable { .. } | Self::Answer => false,
        }
    }

    /// The class, as metrics and reports count it.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::NotFound => "not_found",
            Self::Disabled { .. } => "disabled",
            Self::Denied { .. } => "denied",
            Self::Unfit { .. } => "unfit",
            Self::Credentials(_) => "credentials",
            Self::Unreachable(_) => "unreachable",
            Self::Unavailable { .. } => "unavailable",
            Self::Answer => "answer",
            Self::Cipher => "cipher",
        }
    }
}
