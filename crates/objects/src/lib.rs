#![doc = include_str!("../README.md")]

mod error;
mod key;
mod mark;
mod metrics;
mod options;
mod signer;
mod space;
mod storage;
mod transport;
mod upload;

pub use error::{ObjectsError, SettingFault};
pub use key::{InvalidObjectKey, ObjectKey};
pub use options::S3Options;
pub use signer::AwsSigner;
pub use storage::{ListedObject, ObjectHead, ObjectStorage, TIMEOUTS};
pub use upload::{StoredObject, Upload};
