use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::state::{FileStatus, TextState};
use domicile_kernel::{FileId, RecordingId, Timestamp, ZoomFileId};
use domicile_objects::{ObjectKey, StoredObject};
use domicile_store::schema::recording_files;
use domicile_store::{Conn, StoreError, one_row, parse_state};
use uuid::Uuid;

#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = recording_files, check_for_backend(diesel::pg::Pg))]
pub(crate) struct FileRow {
    pub(crate) id: Uuid,
    pub(crate) recording_id: Uuid,
    pub(crate) zoom_file_id: String,
    pub(crate) kind: String,
    pub(crate) extension: String,
    pub(crate) recording_type: Option<String>,
    status: String,
    pub(crate) recorded_from: Option<Timestamp>,
    pub(crate) recorded_to: Option<Timestamp>,
    pub(crate) announced_size_bytes: Option<i64>,
    pub(crate) download_url_sealed: Option<Vec<u8>>,
    pub(crate) download_token_sealed: Option<Vec<u8>>,
    attempt_key: Option<String>,
    pub(crate) object_key: Option<String>,
    pub(crate) size_bytes: Option<i64>,
    pub(crate) sha256: Option<Vec<u8>>,
    pub(crate) content_type: Option<String>,
}

impl FileRow {
    pub(crate) fn id(&self) -> FileId {
        self.id.into()
    }

    pub(crate) fn recording_id(&self) -> RecordingId {
        self.recording_id.into()
    }

    pub(crate) fn zoom_file_id(&self) -> ZoomFileId {
        ZoomFileId::new(self.zoom_file_id.as_str())
    }

    pub(crate) fn status(&self) -> Result<FileStatus, StoreError> {
        parse_state("recording_files.status", &self.status)
    }

    /// The key of the stored object.
    pub(crate) fn object_key(&self) -> Result<Option<ObjectKey>, StoreError> {
        let parse = |text: &str| {
            ObjectKey::parse(text).map_err(|_| StoreError::Corrupt {
                column: "recording_files.object_key",
            })
        };
        self.object_key.as_deref().map(parse).transpose()
    }

    /// The key of the attempt that is under way, or that died.
    pub(crate) fn attempt_key(&self) -> Result<Option<ObjectKey>, StoreError> {
        let parse = |text: &str| {
            ObjectKey::parse(text).map_err(|_| StoreError::Corrupt {
                column: "recording_files.attempt_key",
            })
        };
        self.attempt_key.as_deref().map(parse).transpose()
    }
}

/// What an event says of a file, as its row holds it.
#[derive(AsChangeset, Insertable)]
#[diesel(table_name = recording_files, treat_none_as_null = true)]
pub(crate) struct FileValues<'a> {
    pub(crate) kind: &'a str,
    pub(crate) extension: &'a str,
    pub(crate) recording_type: Option<String>,
    pub(crate) recorded_from: Option<Timestamp>,
    pub(crate) recorded_to: Option<Timestamp>,
    pub(crate) announced_size_bytes: Option<i64>,
    pub(crate) download_url_sealed: Option<Vec<u8>>,
    pub(crate) download_token_sealed: Option<Vec<u8>>,
}

/// Writes a file that nobody has fetched.
pub(crate) async fn insert(
    conn: &mut Conn,
    id: FileId,
    recording: RecordingId,
    zoom_file_id: &ZoomFileId,
    values: FileValues<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = diesel::insert_into(recording_files::table)
        .values((
            recording_files::id.eq(id.as_uuid()),
            recording_files::recording_id.eq(recording.as_uuid()),
            recording_files::zoom_file_id.eq(zoom_file_id.as_str()),
            recording_files::status.eq(FileStatus::Pending.as_str()),
            recording_files::created_at.eq(now),
            recording_files::updated_at.eq(now),
            values,
        ))
        .execute(conn)
        .await?;
    one_row("add a file", rows)
}

/// Writes what is known now of a file that is not stored.
pub(crate) async fn renew(
    conn: &mut Conn,
    id: FileId,
    status: FileStatus,
    values: FileValues<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = recording_files::table
        .filter(recording_files::id.eq(id.as_uuid()))
        .filter(recording_files::status.ne(FileStatus::Stored.as_str()));
    let rows = diesel::update(row)
        .set((
            values,
            recording_files::status.eq(status.as_str()),
            recording_files::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    one_row("renew a file", rows)
}

pub(crate) async fn one(conn: &mut Conn, id: FileId) -> Result<Option<FileRow>, StoreError> {
    Ok(recording_files::table
        .select(FileRow::as_select())
        .filter(recording_files::id.eq(id.as_uuid()))
        .first(conn)
        .await
        .optional()?)
}

/// The file, locked: this waits for whoever is about to write it.
pub(crate) async fn lock(conn: &mut Conn, id: FileId) -> Result<Option<FileRow>, StoreError> {
    Ok(recording_files::table
        .select(FileRow::as_select())
        .filter(recording_files::id.eq(id.as_uuid()))
        .for_update()
        .first(conn)
        .await
        .optional()?)
}

/// All files of a recording, in the order in which they became known.
pub(crate) async fn of_recording(conn: &mut Conn, id: RecordingId) -> Result<Vec<FileRow>, StoreError> {
    of_recordings(conn, &[id]).await
}

/// All files of these recordings, in the order in which they became known.
pub(crate) async fn of_recordings(conn: &mut Conn, ids: &[RecordingId]) -> Result<Vec<FileRow>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(RecordingId::as_uuid).collect();
    Ok(recording_files::table
        .select(FileRow::as_select())
        .filter(recording_files::recording_id.eq_any(ids))
        .order(recording_files::id)
        .load(conn)
        .await?)
}

/// From now on this is the attempt that may store the file. One that was given up waits again.
pub(crate) async fn begin_attempt(
    conn: &mut Conn,
    id: FileId,
    key: &ObjectKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = recording_files::table
        .filter(recording_files::id.eq(id.as_uuid()))
        .filter(recording_files::status.ne(FileStatus::Stored.as_str()));
    let rows = diesel::update(row)
        .set((
            recording_files::attempt_key.eq(key.as_str()),
            recording_files::status.eq(FileStatus::Pending.as_str()),
            recording_files::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    one_row("begin an attempt", rows)
}

/// Nothing stands under the key of this attempt any more. Another attempt's key stays, so the recording need not be locked.
pub(crate) async fn forget_attempt(
    conn: &mut Conn,
    id: FileId,
    key: &ObjectKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = recording_files::table
        .filter(recording_files::id.eq(id.as_uuid()))
        .filter(recording_files::attempt_key.eq(key.as_str()));
    diesel::update(row)
        .set((
            recording_files::attempt_key.eq(None::<String>),
            recording_files::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// The bytes that the attempt of this key brought are stored and verified; what was needed to fetch them is forgotten.
/// False, and nothing is written, if that attempt is not the file's any more.
pub(crate) async fn mark_stored(
    conn: &mut Conn,
    id: FileId,
    key: &ObjectKey,
    object: &StoredObject,
    content_type: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let size = i64::try_from(object.size_bytes).map_err(|_| StoreError::Corrupt {
        column: "recording_files.size_bytes",
    })?;
    let row = recording_files::table
        .filter(recording_files::id.eq(id.as_uuid()))
        .filter(recording_files::attempt_key.eq(key.as_str()));
    let rows = diesel::update(row)
        .set((
            recording_files::status.eq(FileStatus::Stored.as_str()),
            recording_files::attempt_key.eq(None::<String>),
            recording_files::object_key.eq(key.as_str()),
            recording_files::size_bytes.eq(size),
            recording_files::sha256.eq(object.sha256.as_slice()),
            recording_files::content_type.eq(content_type),
            recording_files::download_url_sealed.eq(None::<Vec<u8>>),
            recording_files::download_token_sealed.eq(None::<Vec<u8>>),
            recording_files::failure_class.eq(None::<String>),
            recording_files::stored_at.eq(now),
            recording_files::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(rows == 1)
}

/// Every attempt failed. A stored file stays stored.
pub(crate) async fn mark_failed(
    conn: &mut Conn,
    id: FileId,
    class: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = recording_files::table
        .filter(recording_files::id.eq(id.as_uuid()))
        .filter(recording_files::status.ne(FileStatus::Stored.as_str()));
    diesel::update(row)
        .set((
            recording_files::status.eq(FileStatus::Failed.as_str()),
            recording_files::failure_class.eq(class),
            recording_files::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets how a file that is not stored could be fetched.
pub(crate) async fn strip(conn: &mut Conn, id: FileId, now: Timestamp) -> Result<(), StoreError> {
    let row = recording_files::table
        .filter(recording_files::id.eq(id.as_uuid()))
        .filter(recording_files::status.ne(FileStatus::Stored.as_str()));
    diesel::update(row)
        .set((
            recording_files::download_url_sealed.eq(None::<Vec<u8>>),
            recording_files::download_token_sealed.eq(None::<Vec<u8>>),
            recording_files::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes a file's row, if it is there.
pub(crate) async fn delete(conn: &mut Conn, id: FileId) -> Result<(), StoreError> {
    diesel::delete(recording_files::table.filter(recording_files::id.eq(id.as_uuid())))
        .execute(conn)
        .await?;
    Ok(())
}
