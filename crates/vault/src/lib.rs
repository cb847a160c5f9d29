#![doc = include_str!("../README.md")]

mod cache;
mod cipher;
mod data_key;
mod error;
mod kms;
mod lanes;
mod local;
mod mark;
mod metrics;
mod place;
mod provider;
mod region_keys;
mod rotation;
mod status;
mod store;
mod vault;

pub use data_key::DataKey;
pub use error::{CheckError, InvalidVaultKeys, UnfitKey, VaultError, VaultKeyFault};
pub use kms::{AwsKms, InvalidKmsArn, KMS_TIMEOUTS, KmsKeyArn, RequestSigner};
pub use mark::{ForeignKey, KeyMarkError};
pub use place::Place;
pub use provider::{DataKeyBytes, KeyError, KeyProvider};
pub use region_keys::{RegionKeySettings, RegionKeys};
pub use rotation::{RotationFailure, RotationProgress, RotationReport};
pub use status::{KeyStatus, RegionKeyStatus};
pub use vault::{KeyScope, Vault};
