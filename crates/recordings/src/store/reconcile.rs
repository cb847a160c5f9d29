//! What reconciling asks of this room's tables.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::state::{FileStatus, LinkStatus, TextState};
use domicile_kernel::{FileId, LinkId, MeetingUuid, RecordingId, Timestamp, ZoomAccountId};
use domicile_objects::ObjectKey;
use domicile_store::schema::{links, recording_files, recordings};
use domicile_store::{Conn, StoreError};
use uuid::Uuid;

use super::FileRow;

/// A stored file.
pub(crate) struct StoredRow {
    pub(crate) id: FileId,
    pub(crate) recording_id: RecordingId,
    pub(crate) key: ObjectKey,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: Vec<u8>,
}

type Stored = (Uuid, Uuid, Option<String>, Option<i64>, Option<Vec<u8>>);

fn stored_row((id, recording_id, key, size, sha256): Stored) -> Result<StoredRow, StoreError> {
    let corrupt = |column| StoreError::Corrupt { column };
    Ok(StoredRow {
        id: id.into(),
        recording_id: recording_id.into(),
        key: key
            .and_then(|key| ObjectKey::parse(&key).ok())
            .ok_or_else(|| corrupt("recording_files.object_key"))?,
        size_bytes: size
            .and_then(|size| u64::try_from(size).ok())
            .ok_or_else(|| corrupt("recording_files.size_bytes"))?,
        sha256: sha256.ok_or_else(|| corrupt("recording_files.sha256"))?,
    })
}

/// Stored files in the order of their ids, after this one.
pub(crate) async fn stored(
    conn: &mut Conn,
    after: Option<FileId>,
    limit: usize,
) -> Result<Vec<StoredRow>, StoreError> {
    let mut query = recording_files::table
        .select((
            recording_files::id,
            recording_files::recording_id,
            recording_files::object_key,
            recording_files::size_bytes,
            recording_files::sha256,
        ))
        .filter(recording_files::status.eq(FileStatus::Stored.as_str()))
        .order(recording_files::id)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(recording_files::id.gt(after.as_uuid()));
    }
    let rows: Vec<Stored> = query.load(conn).await?;
    rows.into_iter().map(stored_row).collect()
}

/// These files, as far as they are there.
pub(crate) async fn files(conn: &mut Conn, ids: &[FileId]) -> Result<Vec<FileRow>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(FileId::as_uuid).collect();
    Ok(recording_files::table
        .select(FileRow::as_select())
        .filter(recording_files::id.eq_any(ids))
        .load(conn)
        .await?)
}

/// The stored file waits again, if it still is the one with this object.
pub(crate) async fn unstore(
    conn: &mut Conn,
    id: FileId,
    key: &ObjectKey,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let row = recording_files::table
        .filter(recording_files::id.eq(id.as_uuid()))
        .filter(recording_files::object_key.eq(key.as_str()));
    let rows = diesel::update(row)
        .set((
            recording_files::status.eq(FileStatus::Pending.as_str()),
            recording_files::object_key.eq(None::<String>),
            recording_files::size_bytes.eq(None::<i64>),
            recording_files::sha256.eq(None::<Vec<u8>>),
            recording_files::content_type.eq(None::<String>),
            recording_files::stored_at.eq(None::<Timestamp>),
            recording_files::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(rows == 1)
}

/// A link that has not ended.
pub(crate) struct LivingLink {
    pub(crate) id: LinkId,
    pub(crate) zoom_account_id: ZoomAccountId,
    pub(crate) zoom_user_id: Option<String>,
}

/// Links that have not ended, in the order of their ids, after this one.
pub(crate) async fn living_links(
    conn: &mut Conn,
    after: Option<LinkId>,
    limit: usize,
) -> Result<Vec<LivingLink>, StoreError> {
    let mut query = links::table
        .select((links::id, links::zoom_account_id, links::zoom_user_id))
        .filter(links::status.ne(LinkStatus::Revoked.as_str()))
        .order(links::id)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(links::id.gt(after.as_uuid()));
    }
    let rows: Vec<(Uuid, String, Option<String>)> = query.load(conn).await?;
    Ok(rows
        .into_iter()
        .map(|(id, account, zoom_user_id)| LivingLink {
            id: id.into(),
            zoom_account_id: ZoomAccountId::new(account),
            zoom_user_id,
        })
        .collect())
}

/// Zoom's ids of the files of a link's meeting that are known.
pub(crate) async fn known_files(
    conn: &mut Conn,
    link: LinkId,
    meeting: &MeetingUuid,
) -> Result<Vec<String>, StoreError> {
    Ok(recording_files::table
        .inner_join(recordings::table)
        .select(recording_files::zoom_file_id)
        .filter(recordings::link_id.eq(link.as_uuid()))
        .filter(recordings::meeting_uuid.eq(meeting.as_str()))
        .load(conn)
        .await?)
}
