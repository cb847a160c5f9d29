//! Erasing what is kept of a link that has ended: objects first, then the rows that name them.

use chrono::TimeDelta;
use domicile_kernel::{FileId, Ids, LinkId, RecordingId, Timestamp};
use domicile_leases::cancel;
use domicile_objects::{ObjectKey, ObjectStorage};
use domicile_store::{Conn, Db};
use tracing::info;

use crate::error::{FetchError, RecordingsError};
use crate::jobs::{FETCH, SETTLE};
use crate::store::{self, FileRow};

/// A fetch whose job was taken away ends with its next heartbeat, and clears away what it wrote. This long after the link
/// has ended it surely has.
const FETCHES_END: TimeDelta = TimeDelta::minutes(2);
/// How many recordings are looked at in one query.
const BATCH: i64 = 50;

/// Erases recordings. Cheap to clone.
#[derive(Clone)]
pub struct RecordingsEraser {
    db: Db,
    ids: Ids,
    storage: ObjectStorage,
}

/// How far an erasure has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erased {
    /// No object and no row is left.
    All,
    /// A fetch may still be writing until then.
    AllBut {
        /// When to come again.
        until: Timestamp,
    },
}

impl RecordingsEraser {
    /// Over the region's database and storage.
    pub fn new(db: Db, ids: Ids, storage: ObjectStorage) -> Self {
        Self { db, ids, storage }
    }

    /// Stops every fetch for a link that ended at this time, and deletes objects and rows of its recordings. What was
    /// deleted before is not missed, so it may be called again whenever it failed.
    pub async fn erase(&self, link: LinkId, ended_at: Timestamp) -> Result<Erased, RecordingsError> {
        let settled_at = ended_at + FETCHES_END;
        let settled = self.ids.clock().now() >= settled_at;
        let (mut last, mut waiting) = (None, false);
        loop {
            let batch = store::recordings_of_link(&mut *self.db.conn().await?, link, last, BATCH).await?;
            for id in &batch {
                waiting |= !self.erase_recording(*id, settled).await?;
            }
            last = batch.last().copied();
            if last.is_none() {
                break;
            }
        }
        info!(link.id = %link, waiting, "recordings of a link that ended were erased");
        Ok(if waiting {
            Erased::AllBut { until: settled_at }
        } else {
            Erased::All
        })
    }

    /// False if a row has to stay, because a fetch may still write the object that it names.
    async fn erase_recording(&self, id: RecordingId, settled: bool) -> Result<bool, RecordingsError> {
        let files = self.stop(id).await?;
        let mut all = true;
        for file in files {
            let attempt = file.attempt_key()?;
            for key in [attempt.as_ref(), file.object_key()?.as_ref()]
                .into_iter()
                .flatten()
            {
                self.delete(key).await?;
            }
            if attempt.is_some() && !settled {
                all = false;
                self.strip(file.id()).await?;
            } else {
                self.forget(file.id()).await?;
            }
        }
        if all {
            self.db
                .run_tx("erase_recording", async |conn: &mut Conn| {
                    store::delete_recording(conn, id).await
                })
                .await?;
        }
        Ok(all)
    }

    /// Takes the jobs of a recording away. No attempt begins after that, because none can without its lease, and none is
    /// asked for, because the link has ended. Gives the files as they are then.
    async fn stop(&self, id: RecordingId) -> Result<Vec<FileRow>, RecordingsError> {
        self.db
            .run_tx(
                "stop_fetching_recording",
                async |conn: &mut Conn| -> Result<Vec<FileRow>, RecordingsError> {
                    // Before the jobs, as whoever begins or ends an attempt does.
                    if store::lock(conn, id).await?.is_none() {
                        return Ok(Vec::new());
                    }
                    for file in store::files_of_recording(conn, id).await? {
                        cancel(conn, FETCH, &file.id().to_string()).await?;
                    }
                    cancel(conn, SETTLE, &id.to_string()).await?;
                    store::forget_topic(conn, id, self.ids.clock().now()).await?;
                    Ok(store::files_of_recording(conn, id).await?)
                },
            )
            .await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), RecordingsError> {
        Ok(self.storage.delete(key).await.map_err(FetchError::from)?)
    }

    /// Leaves nothing of a file but the name of the object that may still appear.
    async fn strip(&self, id: FileId) -> Result<(), RecordingsError> {
        let now = self.ids.clock().now();
        Ok(self
            .db
            .run_tx("strip_recording_file", async |conn: &mut Conn| {
                store::strip_file(conn, id, now).await
            })
            .await?)
    }

    async fn forget(&self, id: FileId) -> Result<(), RecordingsError> {
        Ok(self
            .db
            .run_tx("erase_recording_file", async |conn: &mut Conn| {
                store::delete_file(conn, id).await
            })
            .await?)
    }
}
