//! The queries of `recordings` and `recording_files`, and what they read of `links`.

pub(crate) mod desk;
mod files;
pub(crate) mod reconcile;
mod recordings;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::state::LinkStatus;
use domicile_kernel::{LinkId, Subject, ZoomAccountId};
use domicile_store::schema::links;
use domicile_store::{Conn, StoreError, parse_state};
use uuid::Uuid;

pub(crate) use files::{
    FileRow, FileValues, begin_attempt, delete as delete_file, forget_attempt, insert as insert_file,
    lock as lock_file, mark_failed, mark_stored, of_recording as files_of_recording,
    of_recordings as files_of_recordings, one as file, renew as renew_file, strip as strip_file,
};
pub(crate) use recordings::{
    NewRecording, RecordingRow, delete as delete_recording, describe, forget_topic, insert_if_absent, lock,
    lock_by_meeting, of_link as recordings_of_link, one_listed, page, set_status,
};

/// What this room needs to know of a link.
#[derive(Clone)]
pub(crate) struct LinkRow {
    pub(crate) id: LinkId,
    pub(crate) subject: Subject,
    pub(crate) zoom_account_id: ZoomAccountId,
    pub(crate) status: LinkStatus,
}

pub(crate) fn subject(text: String) -> Result<Subject, StoreError> {
    Subject::try_from(text).map_err(|_| StoreError::Corrupt {
        column: "links.subject",
    })
}

type Row = (Uuid, String, String, String);

fn link_row((id, text, account, status): Row) -> Result<LinkRow, StoreError> {
    Ok(LinkRow {
        id: id.into(),
        subject: subject(text)?,
        zoom_account_id: ZoomAccountId::new(account),
        status: parse_state("links.status", &status)?,
    })
}

/// The link, if it is still there.
pub(crate) async fn link(conn: &mut Conn, id: LinkId) -> Result<Option<LinkRow>, StoreError> {
    let row: Option<Row> = links::table
        .select((links::id, links::subject, links::zoom_account_id, links::status))
        .filter(links::id.eq(id.as_uuid()))
        .first(conn)
        .await
        .optional()?;
    row.map(link_row).transpose()
}

/// The same, held so that nobody ends the link before this transaction does.
pub(crate) async fn hold_link(conn: &mut Conn, id: LinkId) -> Result<Option<LinkRow>, StoreError> {
    let row: Option<Row> = links::table
        .select((links::id, links::subject, links::zoom_account_id, links::status))
        .filter(links::id.eq(id.as_uuid()))
        .for_share()
        .first(conn)
        .await
        .optional()?;
    row.map(link_row).transpose()
}
