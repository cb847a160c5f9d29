//! The room as its readers see it.

use std::ops::Range;

use bytes::Bytes;
use domicile_kernel::state::{FileStatus, RecordingStatus};
use domicile_kernel::{FileId, LinkId, RecordingId, Secret, Subject, Timestamp};
use domicile_objects::{ObjectKey, ObjectStorage, ObjectsError};
use domicile_store::{Db, StoreError};
use domicile_vault::{Vault, VaultError};
use futures_util::stream::BoxStream;

use crate::error::RecordingsError;
use crate::sealed;
use crate::store::{self, FileRow, RecordingRow};
use crate::view::{RecordingView, Topic, by_recording};

/// Reads recordings and their files, for the App API. Cheap to clone.
#[derive(Clone)]
pub struct Library {
    db: Db,
    vault: Vault,
    storage: ObjectStorage,
}

/// A recording in short, for other rooms. It has no `Debug`: the topic is personal data.
pub struct RecordingBrief {
    /// Its id.
    pub id: RecordingId,
    /// The link that it was fetched for.
    pub link_id: LinkId,
    /// Whom it is about.
    pub subject: Subject,
    /// The meeting's topic.
    pub topic: Option<Secret<String>>,
    /// When the meeting began.
    pub started_at: Option<Timestamp>,
    /// How far it has come.
    pub status: RecordingStatus,
    /// The files that are wanted.
    pub files: usize,
    /// Those of them that are stored.
    pub files_stored: usize,
}

/// What can be said of a file's bytes.
pub(crate) enum Content {
    /// There is no such file.
    Absent,
    /// They are not here, or not yet.
    NotReady,
    /// They are here.
    Stored(StoredFile),
}

/// Where a stored file's bytes are, and how they are served.
pub(crate) struct StoredFile {
    pub(crate) id: FileId,
    key: ObjectKey,
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: Vec<u8>,
    pub(crate) content_type: String,
}

impl Library {
    /// A reader over the region's database, keys and storage.
    pub fn new(db: Db, vault: Vault, storage: ObjectStorage) -> Self {
        Self { db, vault, storage }
    }

    /// Recordings, latest first, of one subject or of all, at most so many, after the one with this id.
    pub(crate) async fn list(
        &self,
        subject: Option<&Subject>,
        after: Option<RecordingId>,
        limit: i64,
    ) -> Result<Vec<RecordingView>, RecordingsError> {
        let (rows, mut files) = {
            let mut conn = self.db.conn().await?;
            let rows = store::page(&mut conn, subject, after, limit).await?;
            let ids: Vec<_> = rows.iter().map(|(row, _)| row.id()).collect();
            let files = store::files_of_recordings(&mut conn, &ids).await?;
            (rows, by_recording(files))
        };
        let mut views = Vec::with_capacity(rows.len());
        for (row, subject) in rows {
            let files = files.remove(&row.id()).unwrap_or_default();
            views.push(self.view(&row, subject, &files).await?);
        }
        Ok(views)
    }

    /// The last recordings of a subject in short, latest first, at most so many.
    pub async fn latest(
        &self,
        subject: &Subject,
        limit: i64,
    ) -> Result<Vec<RecordingBrief>, RecordingsError> {
        let (rows, mut files) = {
            let mut conn = self.db.conn().await?;
            let rows = store::page(&mut conn, Some(subject), None, limit).await?;
            let ids: Vec<_> = rows.iter().map(|(row, _)| row.id()).collect();
            let files = store::files_of_recordings(&mut conn, &ids).await?;
            (rows, by_recording(files))
        };
        let mut briefs = Vec::with_capacity(rows.len());
        for (row, subject) in rows {
            let files = files.remove(&row.id()).unwrap_or_default();
            briefs.push(self.brief_of(&row, subject, &files).await?);
        }
        Ok(briefs)
    }

    /// One recording in short.
    pub async fn brief(&self, id: RecordingId) -> Result<Option<RecordingBrief>, RecordingsError> {
        let (row, subject, files) = {
            let mut conn = self.db.conn().await?;
            let Some((row, subject)) = store::one_listed(&mut conn, id).await? else {
                return Ok(None);
            };
            let files = store::files_of_recording(&mut conn, id).await?;
            (row, subject, files)
        };
        self.brief_of(&row, subject, &files).await.map(Some)
    }

    async fn brief_of(
        &self,
        row: &RecordingRow,
        subject: Subject,
        files: &[FileRow],
    ) -> Result<RecordingBrief, RecordingsError> {
        let statuses: Vec<_> = files.iter().map(FileRow::status).collect::<Result<_, _>>()?;
        Ok(RecordingBrief {
            id: row.id(),
            link_id: row.link_id(),
            subject,
            topic: self.topic(row).await?.map(|Topic(topic)| topic),
            started_at: row.started_at,
            status: row.status()?,
            files: statuses.len(),
            files_stored: statuses.iter().filter(|it| **it == FileStatus::Stored).count(),
        })
    }

    /// One recording.
    pub(crate) async fn recording(&self, id: RecordingId) -> Result<Option<RecordingView>, RecordingsError> {
        let (row, subject, files) = {
            let mut conn = self.db.conn().await?;
            let Some((row, subject)) = store::one_listed(&mut conn, id).await? else {
                return Ok(None);
            };
            let files = store::files_of_recording(&mut conn, id).await?;
            (row, subject, files)
        };
        self.view(&row, subject, &files).await.map(Some)
    }

    /// Where the bytes of a file of this recording are.
    pub(crate) async fn content(
        &self,
        recording: RecordingId,
        file: FileId,
    ) -> Result<Content, RecordingsError> {
        let row = store::file(&mut *self.db.conn().await?, file).await?;
        let Some(row) = row.filter(|row| row.recording_id() == recording) else {
            return Ok(Content::Absent);
        };
        if row.status()? != FileStatus::Stored {
            return Ok(Content::NotReady);
        }
        let corrupt = |column| StoreError::Corrupt { column };
        Ok(Content::Stored(StoredFile {
            id: row.id(),
            key: row
                .object_key
                .as_deref()
                .and_then(|key| ObjectKey::parse(key).ok())
                .ok_or_else(|| corrupt("recording_files.object_key"))?,
            name: format!("{}.{}", row.id, row.extension),
            size_bytes: row
                .size_bytes
                .and_then(|size| u64::try_from(size).ok())
                .ok_or_else(|| corrupt("recording_files.size_bytes"))?,
            sha256: row.sha256.ok_or_else(|| corrupt("recording_files.sha256"))?,
            content_type: row
                .content_type
                .unwrap_or_else(|| "application/octet-stream".to_owned()),
        }))
    }

    /// The bytes, or a part of them.
    pub(crate) fn read(
        &self,
        file: &StoredFile,
        part: Option<Range<u64>>,
    ) -> BoxStream<'static, Result<Bytes, ObjectsError>> {
        self.storage.read(&file.key, part)
    }

    async fn view(
        &self,
        row: &RecordingRow,
        subject: Subject,
        files: &[FileRow],
    ) -> Result<RecordingView, RecordingsError> {
        let topic = self.topic(row).await?;
        Ok(RecordingView::new(row, subject, row.status()?, topic, files)?)
    }

    /// The topic; none where it was erased with its account's key.
    async fn topic(&self, row: &RecordingRow) -> Result<Option<Topic>, RecordingsError> {
        match sealed::open_topic(&self.vault, row).await {
            Ok(topic) => Ok(topic),
            Err(VaultError::Destroyed(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
