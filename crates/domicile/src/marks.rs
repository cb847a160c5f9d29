//! Every resource carries the mark of its region: left at the first start, looked at by every later one (INV-1).

use domicile_kernel::{RegionId, Timestamp};
use domicile_objects::{ObjectStorage, ObjectsError};
use domicile_store::{Db, RegionMarkError, StoreError};
use domicile_vault::{KeyMarkError, Vault};
use thiserror::Error;
use tracing::warn;

/// Why this process does not touch these resources.
#[derive(Debug, Error)]
pub enum MarksError {
    /// Some are another region's; all of them are listed (INV-10), and none was written to.
    #[error("{}", list(.0))]
    Foreign(Vec<ForeignResource>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A resource of another region. Its text names both regions and what to do.
#[derive(Debug, Error)]
pub enum ForeignResource {
    /// The database.
    #[error(transparent)]
    Database(RegionMarkError),
    /// The keys.
    #[error(transparent)]
    Keys(KeyMarkError),
    /// The bucket or folder.
    #[error(transparent)]
    Objects(ObjectsError),
}

fn list(resources: &[ForeignResource]) -> String {
    let resources: Vec<_> = resources.iter().map(ToString::to_string).collect();
    resources.join("; ")
}

/// Looks at every mark first, and leaves those that are missing only if no resource is another region's. A storage that does
/// not answer stops nothing: it lets nobody write or read before it has shown its mark.
pub(crate) async fn check(
    region: &RegionId,
    now: Timestamp,
    (db, vault, storage): (&Db, &Vault, Option<&ObjectStorage>),
) -> Result<(), MarksError> {
    let mut foreign = Vec::new();
    let database = match db.region_mark(region).await {
        Ok(marked) => marked,
        Err(RegionMarkError::Store(error)) => return Err(error.into()),
        Err(error) => {
            foreign.push(ForeignResource::Database(error));
            true
        }
    };
    match vault.check_marks(region).await {
        Ok(()) => {}
        Err(KeyMarkError::Store(error)) => return Err(error.into()),
        Err(error) => foreign.push(ForeignResource::Keys(error)),
    }
    if let Some(storage) = storage
        && let Err(error) = storage.region_mark().await
    {
        judge(error, &mut foreign);
    }
    if !foreign.is_empty() {
        return Err(MarksError::Foreign(foreign));
    }
    if !database {
        match db.mark_region(region, now).await {
            Ok(()) => {}
            Err(RegionMarkError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(MarksError::Foreign(vec![ForeignResource::Database(error)])),
        }
    }
    match vault.mark(region).await {
        Ok(()) => {}
        Err(KeyMarkError::Store(error)) => return Err(error.into()),
        Err(error) => foreign.push(ForeignResource::Keys(error)),
    }
    if let Some(storage) = storage
        && let Err(error) = storage.mark_region().await
    {
        judge(error, &mut foreign);
    }
    if foreign.is_empty() {
        Ok(())
    } else {
        Err(MarksError::Foreign(foreign))
    }
}

fn judge(error: ObjectsError, foreign: &mut Vec<ForeignResource>) {
    if matches!(error, ObjectsError::ForeignRegion { .. }) {
        foreign.push(ForeignResource::Objects(error));
    } else {
        warn!(%error, "the region's mark in the object storage cannot be looked at; nothing is read or written there until it can");
    }
}
