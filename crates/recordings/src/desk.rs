//! Recordings as their operators see them: how far each has come, why a file failed, and what shall be tried again. Topics
//! stay sealed.

use domicile_kernel::state::{FileStatus, RecordingStatus};
use domicile_kernel::{FileId, Ids, LinkId, RecordingId, Subject, Timestamp, ZoomAccountId};
use domicile_leases::{NewJob, desk::hasten, enqueue};
use domicile_store::audit::{Actor, AuditEntry};
use domicile_store::{Conn, Db, StoreError};
use serde::Serialize;

use crate::jobs::FETCH;
use crate::store;

/// The operators' view of recordings. Cheap to clone.
#[derive(Clone)]
pub struct RecordingsDesk {
    db: Db,
    ids: Ids,
}

/// Which recordings are meant; every criterion that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct RecordingSelection {
    /// How far it has come.
    pub status: Option<RecordingStatus>,
    /// Whose it is.
    pub subject: Option<Subject>,
    /// The Zoom account that it belongs to.
    pub zoom_account_id: Option<ZoomAccountId>,
    /// Known at this time or later.
    pub from: Option<Timestamp>,
    /// Known before this time.
    pub before: Option<Timestamp>,
}

/// A recording without its topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordingEntry {
    /// The id that the app knows.
    pub id: RecordingId,
    /// The link that it belongs to.
    pub link_id: LinkId,
    /// Whose it is.
    pub subject: Subject,
    /// The Zoom account.
    pub zoom_account_id: String,
    /// Zoom's id of the meeting instance.
    pub meeting_uuid: String,
    /// How far it has come.
    pub status: RecordingStatus,
    /// When Zoom first told of it.
    pub created_at: Timestamp,
    /// When it or one of its files changed last.
    pub updated_at: Timestamp,
}

/// A file of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileEntry {
    /// The id that the app knows.
    pub id: FileId,
    /// Zoom's `file_type`.
    pub kind: String,
    /// The file name extension.
    pub extension: String,
    /// Whether its bytes are here.
    pub status: FileStatus,
    /// The size that Zoom announced.
    pub announced_size_bytes: Option<i64>,
    /// The size of the stored object.
    pub size_bytes: Option<i64>,
    /// Its key in the object storage.
    pub object_key: Option<String>,
    /// Why the last attempt failed.
    pub failure_class: Option<String>,
}

impl RecordingsDesk {
    /// The recordings in this database.
    pub fn new(db: Db, ids: Ids) -> Self {
        Self { db, ids }
    }

    /// The newest recordings of a selection, at most so many, after the one with this id.
    pub async fn list(
        &self,
        selection: &RecordingSelection,
        after: Option<RecordingId>,
        limit: i64,
    ) -> Result<Vec<RecordingEntry>, StoreError> {
        store::desk::list(&mut *self.db.conn().await?, selection, after, limit).await
    }

    /// One recording with its files.
    pub async fn show(
        &self,
        id: RecordingId,
    ) -> Result<Option<(RecordingEntry, Vec<FileEntry>)>, StoreError> {
        let mut conn = self.db.conn().await?;
        let Some(recording) = store::desk::one(&mut conn, id).await? else {
            return Ok(None);
        };
        Ok(Some((recording, store::desk::files(&mut conn, id).await?)))
    }

    /// Fetches what failed of these recordings anew, and what waits at once. A file that Zoom has no more fails again. Gives
    /// the number of files, of each recording that is there.
    pub async fn retry(
        &self,
        ids: &[RecordingId],
        actor: &Actor,
    ) -> Result<Vec<(RecordingId, usize)>, StoreError> {
        let mut retried = Vec::new();
        for id in ids {
            let files = self
                .db
                .run_tx("retry_recording", async |conn: &mut Conn| {
                    self.retry_one(conn, *id, actor).await
                })
                .await?;
            retried.extend(files.map(|files| (*id, files)));
        }
        Ok(retried)
    }

    async fn retry_one(
        &self,
        conn: &mut Conn,
        id: RecordingId,
        actor: &Actor,
    ) -> Result<Option<usize>, StoreError> {
        let Some(recording) = store::lock(conn, id).await? else {
            return Ok(None);
        };
        let now = self.ids.clock().now();
        let account = recording.account();
        let mut count = 0;
        for file in store::files_of_recording(conn, id).await? {
            if file.status()? == FileStatus::Stored {
                continue;
            }
            let key = file.id().to_string();
            let job = NewJob {
                kind: FETCH,
                key: &key,
                lane: Some(account.as_str()),
                due_at: now,
                traceparent: None,
            };
            enqueue(conn, &self.ids, job).await?;
            hasten(conn, FETCH.0, &key, now).await?;
            count += 1;
        }
        if count > 0 {
            AuditEntry::done(actor.clone(), "recording.retry")
                .link(recording.link_id())
                .write(conn, &self.ids)
                .await?;
        }
        Ok(Some(count))
    }
}
