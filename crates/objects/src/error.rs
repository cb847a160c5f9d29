//! What can go wrong with storage.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

use domicile_egress::EgressError;
use domicile_kernel::{Fate, RegionId};
use thiserror::Error;

use crate::key::InvalidObjectKey;
use crate::metrics::{DENIED, FAILED, METRICS};

/// Why storage could not be opened, or did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ObjectsError {
    /// The settings are incomplete or contradict each other; all faults are listed (INV-10).
    #[error("object storage is not set up: {}", list(.faults))]
    Settings {
        /// What is wrong, one entry for each fault.
        faults: Vec<SettingFault>,
    },
    /// AWS's settings for something else than the storage are incomplete or contradict each other; all faults are listed.
    #[error("AWS's settings are at fault: {}", list(.faults))]
    Aws {
        /// What is wrong, one entry for each fault.
        faults: Vec<SettingFault>,
    },
    /// The folder of `file://` storage is not there and cannot be made.
    #[error("the storage folder {} cannot be used", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A name that no object can have.
    #[error(transparent)]
    Key(#[from] InvalidObjectKey),
    /// There is no such object.
    #[error("there is no object `{key}`")]
    NotFound {
        /// The object's key.
        key: String,
    },
    /// The storage does not let us do this; on S3, a missing object looks like this too without `s3:ListBucket`.
    #[error("storage does not permit to {operation}")]
    Denied {
        /// What was tried.
        operation: &'static str,
        /// What the storage said.
        source: object_store::Error,
    },
    /// An access key's id or a session token has characters that no header can carry.
    #[error("the AWS credentials cannot stand in a request")]
    Credentials,
    /// A range that holds no byte.
    #[error("the range of bytes is empty")]
    EmptyRange,
    /// More bytes than one object may have.
    #[error("an object may have at most {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// The upload failed before, and takes nothing more.
    #[error("the upload has failed already")]
    UploadFailed,
    /// What was read is not what was written.
    #[error("storage gave back other bytes than it was given")]
    Corrupt,
    /// The bucket or folder belongs to another region (INV-1).
    #[error(
        "the object storage carries the mark of the region {theirs}, but this process is of the region {ours}: \
         DOMICILE_OBJECTS_URL must lead to {ours}'s own storage, or DOMICILE_REGION_ID is wrong; a mark is never changed"
    )]
    ForeignRegion {
        /// Whose process this is.
        ours: RegionId,
        /// Whose storage it is, as the mark spells it.
        theirs: String,
    },
    /// Anything else, network trouble above all.
    #[error("storage failed to {operation}")]
    Storage {
        /// What was tried.
        operation: &'static str,
        /// What the storage said.
        source: object_store::Error,
    },
}

impl ObjectsError {
    /// Whether the same call may succeed later.
    pub fn fate(&self) -> Fate {
        match self {
            Self::Settings { .. }
            | Self::Aws { .. }
            | Self::Key(_)
            | Self::NotFound { .. }
            | Self::EmptyRange
            | Self::TooLarge { .. } => Fate::Final,
            // Rights are granted, disks emptied, credentials rotated while jobs wait.
            Self::Folder { .. }
            | Self::Denied { .. }
            | Self::Credentials
            | Self::UploadFailed
            | Self::ForeignRegion { .. }
            | Self::Corrupt => Fate::RETRY,
            Self::Storage { source, .. } => egress_error(source).map_or(Fate::RETRY, EgressError::fate),
        }
    }

    pub(crate) fn from_store(operation: &'static str, key: &str, error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::NotFound { key: key.to_owned() },
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                METRICS.failed(DENIED);
                Self::Denied {
                    operation,
                    source: error,
                }
            }
            source => {
                METRICS.failed(FAILED);
                Self::Storage { operation, source }
            }
        }
    }
}

/// One wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingFault {
    /// The setting's name.
    pub setting: String,
    /// What is wrong with it and what to do. Never holds a credential.
    pub problem: String,
}

impl SettingFault {
    pub(crate) fn new(setting: &str, problem: impl Into<String>) -> Self {
        Self {
            setting: setting.to_owned(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for SettingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)
    }
}

fn list(faults: &[SettingFault]) -> String {
    let faults: Vec<_> = faults.iter().map(SettingFault::to_string).collect();
    faults.join("; ")
}

fn egress_error(error: &object_store::Error) -> Option<&EgressError> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref() {
            return Some(found);
        }
        next = current.source();
    }
    None
}
