//! What operators ask of `recordings` and `recording_files`.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::state::TextState;
use domicile_kernel::{RecordingId, Subject, Timestamp, ZoomAccountId};
use domicile_store::schema::{links, recording_files, recordings};
use domicile_store::{Conn, StoreError, parse_state};
use uuid::Uuid;

use crate::desk::{FileEntry, RecordingEntry, RecordingSelection};

type Row = (Uuid, Uuid, String, String, String, String, Timestamp, Timestamp);

fn entry(row: Row) -> Result<RecordingEntry, StoreError> {
    let (id, link_id, subject, zoom_account_id, meeting_uuid, status, created_at, updated_at) = row;
    Ok(RecordingEntry {
        id: id.into(),
        link_id: link_id.into(),
        subject: super::subject(subject)?,
        zoom_account_id,
        meeting_uuid,
        status: parse_state("recordings.status", &status)?,
        created_at,
        updated_at,
    })
}

const COLUMNS: Columns = (
    recordings::id,
    recordings::link_id,
    links::subject,
    recordings::zoom_account_id,
    recordings::meeting_uuid,
    recordings::status,
    recordings::created_at,
    recordings::updated_at,
);
type Columns = (
    recordings::id,
    recordings::link_id,
    links::subject,
    recordings::zoom_account_id,
    recordings::meeting_uuid,
    recordings::status,
    recordings::created_at,
    recordings::updated_at,
);

/// The newest recordings of a selection after this one.
pub(crate) async fn list(
    conn: &mut Conn,
    selection: &RecordingSelection,
    after: Option<RecordingId>,
    limit: i64,
) -> Result<Vec<RecordingEntry>, StoreError> {
    let mut query = recordings::table
        .inner_join(links::table)
        .select(COLUMNS)
        .order(recordings::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(status) = selection.status {
        query = query.filter(recordings::status.eq(status.as_str()));
    }
    if let Some(subject) = selection.subject.as_ref().map(Subject::as_str) {
        query = query.filter(links::subject.eq(subject));
    }
    if let Some(account) = selection.zoom_account_id.as_ref().map(ZoomAccountId::as_str) {
        query = query.filter(recordings::zoom_account_id.eq(account));
    }
    if let Some(from) = selection.from {
        query = query.filter(recordings::created_at.ge(from));
    }
    if let Some(before) = selection.before {
        query = query.filter(recordings::created_at.lt(before));
    }
    if let Some(after) = after {
        query = query.filter(recordings::id.lt(after.as_uuid()));
    }
    let rows: Vec<Row> = query.load(conn).await?;
    rows.into_iter().map(entry).collect()
}

pub(crate) async fn one(conn: &mut Conn, id: RecordingId) -> Result<Option<RecordingEntry>, StoreError> {
    let row: Option<Row> = recordings::table
        .inner_join(links::table)
        .select(COLUMNS)
        .filter(recordings::id.eq(id.as_uuid()))
        .first(conn)
        .await
        .optional()?;
    row.map(entry).transpose()
}

type FileColumns = (
    Uuid,
    String,
    String,
    String,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
);

/// The files of a recording, in the order in which they became known.
pub(crate) async fn files(conn: &mut Conn, id: RecordingId) -> Result<Vec<FileEntry>, StoreError> {
    let rows: Vec<FileColumns> = recording_files::table
        .select((
            recording_files::id,
            recording_files::kind,
            recording_files::extension,
            recording_files::status,
            recording_files::announced_size_bytes,
            recording_files::size_bytes,
            recording_files::object_key,
            recording_files::failure_class,
        ))
        .filter(recording_files::recording_id.eq(id.as_uuid()))
        .order(recording_files::id)
        .load(conn)
        .await?;
    rows.into_iter()
        .map(
            |(id, kind, extension, status, announced_size_bytes, size_bytes, object_key, failure_class)| {
                Ok(FileEntry {
                    id: id.into(),
                    kind,
                    extension,
                    status: parse_state("recording_files.status", &status)?,
                    announced_size_bytes,
                    size_bytes,
                    object_key,
                    failure_class,
                })
            },
        )
        .collect()
}
