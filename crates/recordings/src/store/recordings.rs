use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::state::{RecordingStatus, TextState};
use domicile_kernel::{LinkId, MeetingUuid, RecordingId, Subject, Timestamp, ZoomAccountId};
use domicile_store::schema::{links, recordings};
use domicile_store::{Conn, StoreError, one_row, parse_state};
use uuid::Uuid;

#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = recordings, check_for_backend(diesel::pg::Pg))]
pub(crate) struct RecordingRow {
    pub(crate) id: Uuid,
    pub(crate) link_id: Uuid,
    pub(crate) zoom_account_id: String,
    pub(crate) meeting_uuid: String,
    pub(crate) meeting_id: Option<i64>,
    pub(crate) host_id: Option<String>,
    pub(crate) topic_sealed: Option<Vec<u8>>,
    pub(crate) started_at: Option<Timestamp>,
    status: String,
    pub(crate) updated_at: Timestamp,
}

impl RecordingRow {
    pub(crate) fn id(&self) -> RecordingId {
        self.id.into()
    }

    pub(crate) fn link_id(&self) -> LinkId {
        self.link_id.into()
    }

    pub(crate) fn account(&self) -> ZoomAccountId {
        ZoomAccountId::new(self.zoom_account_id.as_str())
    }

    pub(crate) fn meeting_uuid(&self) -> MeetingUuid {
        MeetingUuid::new(self.meeting_uuid.as_str())
    }

    pub(crate) fn status(&self) -> Result<RecordingStatus, StoreError> {
        parse_state("recordings.status", &self.status)
    }
}

pub(crate) struct NewRecording<'a> {
    pub(crate) id: RecordingId,
    pub(crate) link_id: LinkId,
    pub(crate) zoom_account_id: &'a ZoomAccountId,
    pub(crate) meeting_uuid: &'a MeetingUuid,
}

/// Writes the recording unless the meeting has one; says whether it did.
pub(crate) async fn insert_if_absent(
    conn: &mut Conn,
    new: NewRecording<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let rows = diesel::insert_into(recordings::table)
        .values((
            recordings::id.eq(new.id.as_uuid()),
            recordings::link_id.eq(new.link_id.as_uuid()),
            recordings::zoom_account_id.eq(new.zoom_account_id.as_str()),
            recordings::meeting_uuid.eq(new.meeting_uuid.as_str()),
            recordings::status.eq(RecordingStatus::Fetching.as_str()),
            recordings::created_at.eq(now),
            recordings::updated_at.eq(now),
        ))
        .on_conflict((recordings::link_id, recordings::meeting_uuid))
        .do_nothing()
        .execute(conn)
        .await?;
    Ok(rows == 1)
}

/// The recording, locked: whoever changes it or its files holds this lock.
pub(crate) async fn lock(conn: &mut Conn, id: RecordingId) -> Result<Option<RecordingRow>, StoreError> {
    Ok(recordings::table
        .select(RecordingRow::as_select())
        .filter(recordings::id.eq(id.as_uuid()))
        .for_update()
        .first(conn)
        .await
        .optional()?)
}

/// The recording of a link's meeting, locked.
pub(crate) async fn lock_by_meeting(
    conn: &mut Conn,
    link: LinkId,
    meeting: &MeetingUuid,
) -> Result<RecordingRow, StoreError> {
    Ok(recordings::table
        .select(RecordingRow::as_select())
        .filter(recordings::link_id.eq(link.as_uuid()))
        .filter(recordings::meeting_uuid.eq(meeting.as_str()))
        .for_update()
        .first(conn)
        .await?)
}

/// Writes what is known of the meeting.
pub(crate) async fn describe(
    conn: &mut Conn,
    row: &RecordingRow,
    status: RecordingStatus,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = diesel::update(recordings::table.filter(recordings::id.eq(row.id)))
        .set((
            recordings::meeting_id.eq(row.meeting_id),
            recordings::host_id.eq(row.host_id.as_deref()),
            recordings::topic_sealed.eq(row.topic_sealed.as_deref()),
            recordings::started_at.eq(row.started_at),
            recordings::status.eq(status.as_str()),
            recordings::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    one_row("describe a recording", rows)
}

/// Writes the status that follows from the files.
pub(crate) async fn set_status(
    conn: &mut Conn,
    id: RecordingId,
    status: RecordingStatus,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = diesel::update(recordings::table.filter(recordings::id.eq(id.as_uuid())))
        .set((
            recordings::status.eq(status.as_str()),
            recordings::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    one_row("set the status of a recording", rows)
}

type Listed = (RecordingRow, Subject);

fn listed((row, subject): (RecordingRow, String)) -> Result<Listed, StoreError> {
    Ok((row, super::subject(subject)?))
}

/// Recordings, latest first, of one subject or of all, after the one with this id.
pub(crate) async fn page(
    conn: &mut Conn,
    subject: Option<&Subject>,
    after: Option<RecordingId>,
    limit: i64,
) -> Result<Vec<Listed>, StoreError> {
    let mut query = recordings::table
        .inner_join(links::table)
        .select((RecordingRow::as_select(), links::subject))
        .order(recordings::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(subject) = subject {
        query = query.filter(links::subject.eq(subject.as_str()));
    }
    if let Some(after) = after {
        query = query.filter(recordings::id.lt(after.as_uuid()));
    }
    let rows: Vec<(RecordingRow, String)> = query.load(conn).await?;
    rows.into_iter().map(listed).collect()
}

pub(crate) async fn one_listed(conn: &mut Conn, id: RecordingId) -> Result<Option<Listed>, StoreError> {
    let row: Option<(RecordingRow, String)> = recordings::table
        .inner_join(links::table)
        .select((RecordingRow::as_select(), links::subject))
        .filter(recordings::id.eq(id.as_uuid()))
        .first(conn)
        .await
        .optional()?;
    row.map(listed).transpose()
}

/// The recordings of a link in the order of their ids, after this one, at most so many.
pub(crate) async fn of_link(
    conn: &mut Conn,
    link: LinkId,
    after: Option<RecordingId>,
    limit: i64,
) -> Result<Vec<RecordingId>, StoreError> {
    let mut query = recordings::table
        .select(recordings::id)
        .filter(recordings::link_id.eq(link.as_uuid()))
        .order(recordings::id)
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(recordings::id.gt(after.as_uuid()));
    }
    let ids: Vec<Uuid> = query.load(conn).await?;
    Ok(ids.into_iter().map(RecordingId::from).collect())
}

/// Forgets what the meeting was called.
pub(crate) async fn forget_topic(conn: &mut Conn, id: RecordingId, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(recordings::table.filter(recordings::id.eq(id.as_uuid())))
        .set((
            recordings::topic_sealed.eq(None::<Vec<u8>>),
            recordings::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes a recording's row, if it is there, with those of its files.
pub(crate) async fn delete(conn: &mut Conn, id: RecordingId) -> Result<(), StoreError> {
    diesel::delete(recordings::table.filter(recordings::id.eq(id.as_uuid())))
        .execute(conn)
        .await?;
    Ok(())
}
