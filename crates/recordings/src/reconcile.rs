//! Bringing rows and objects into agreement, after a database or a storage was restored to another moment than the other.
//!
//! What a row calls stored and storage has not, or has otherwise, is fetched from Zoom again. What storage has and no row
//! names is deleted once it is old enough, unless its file is not stored: then it may be all that is left, and stays; if
//! Zoom has given the file up, the object becomes the file. What Zoom recorded meanwhile and nobody knows here is found by
//! listing each link's recordings. All of it may be done again at any time, also beside running workers.

mod catch_up;
mod objects;
mod rows;

use chrono::TimeDelta;
use domicile_kernel::{FileId, LinkId, Timestamp};
use serde::Serialize;

use crate::error::RecordingsError;
use crate::jobs::{Parts, Shared};

/// How many rows or objects are looked at in one query.
const BATCH: usize = 200;

/// What is looked at, and whether it is mended.
#[derive(Debug, Clone, Copy)]
pub struct ReconcileOptions {
    /// Mend it; else it is only told.
    pub apply: bool,
    /// Read every stored object and compare its SHA-256, not only its size.
    pub deep: bool,
    /// Younger objects that no row names are left alone: somebody may be writing them.
    pub grace: TimeDelta,
    /// Recordings since then are asked of Zoom; none: Zoom is not asked.
    pub since: Option<Timestamp>,
}

/// What does not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Discrepancy {
    /// A stored file has no object.
    MissingObject,
    /// A stored file's object has another size.
    WrongSize,
    /// A stored file's object has other bytes.
    WrongBytes,
    /// An object that no row names.
    Orphan,
    /// An object that may be that of a file which is not stored.
    Unclaimed,
    /// An object whose name is none of ours.
    ForeignName,
    /// A recording at Zoom that nobody knew here.
    UnknownRecording,
    /// A link whose recordings Zoom did not list.
    UnreadableLink,
}

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// The file is fetched from Zoom again.
    Refetch,
    /// The object is deleted.
    Delete,
    /// The object becomes the file.
    Adopt,
    /// The recording is taken over as if Zoom had told of it.
    TakeOver,
    /// It is left as it is.
    Keep,
}

/// One thing that does not agree, and what is done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// What does not agree.
    pub discrepancy: Discrepancy,
    /// What is done about it, or would be.
    pub act: Act,
    /// The file.
    pub file_id: Option<FileId>,
    /// The object.
    pub object_key: Option<String>,
    /// The link.
    pub link_id: Option<LinkId>,
    /// Why the act is another than usual.
    pub because: Option<&'static str>,
}

impl Reconciled {
    fn new(discrepancy: Discrepancy, act: Act) -> Self {
        Self {
            discrepancy,
            act,
            file_id: None,
            object_key: None,
            link_id: None,
            because: None,
        }
    }

    fn file(self, id: FileId) -> Self {
        Self {
            file_id: Some(id),
            ..self
        }
    }

    fn object(self, key: &str) -> Self {
        Self {
            object_key: Some(key.to_owned()),
            ..self
        }
    }

    fn link(self, id: LinkId) -> Self {
        Self {
            link_id: Some(id),
            ..self
        }
    }

    fn because(self, why: &'static str) -> Self {
        Self {
            because: Some(why),
            ..self
        }
    }
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Reconciliation {
    /// Whether it was mended.
    pub applied: bool,
    /// How many stored files were looked at.
    pub stored_files: u64,
    /// How many objects were looked at.
    pub objects: u64,
    /// How many links were asked for at Zoom.
    pub links: u64,
    /// What does not agree.
    pub found: Vec<Reconciled>,
}

/// Reconciles rows with objects, and both with Zoom.
pub struct Reconciler {
    shared: Shared,
    storage: domicile_objects::ObjectStorage,
}

impl Reconciler {
    /// Over what the jobs work with.
    pub fn new(parts: Parts) -> Self {
        Self {
            storage: parts.storage.clone(),
            shared: Shared::new(parts),
        }
    }

    /// Looks at everything, and mends it if it shall. Storage or database in trouble ends it; what was mended stays mended.
    pub async fn reconcile(&self, options: &ReconcileOptions) -> Result<Reconciliation, RecordingsError> {
        let mut report = Reconciliation {
            applied: options.apply,
            ..Reconciliation::default()
        };
        self.rows(options, &mut report).await?;
        if let Some(since) = options.since {
            self.catch_up(options, since, &mut report).await?;
        }
        self.objects(options, &mut report).await?;
        Ok(report)
    }
}
