use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domicile_kernel::state::{FileStatus, RecordingStatus};
use domicile_kernel::{FileId, LinkId, RecordingId, Timestamp, ZoomAccountId, ZoomFileId};
use domicile_leases::{Backoff, Finished, Handler, JobError, JobKind, Lease, NewJob, Policy, enqueue};
use domicile_store::Conn;
use domicile_telemetry::current_traceparent;
use domicile_vault::{DataKey, KeyScope};
use domicile_zoom::event::RecordingEvent;
use domicile_zoom::recording::MeetingRecording;
use tracing::{info, warn};

use super::{FETCH, MERGE, Shared, living, read_merge_key};
use crate::error::RecordingsError;
use crate::metrics::METRICS;
use crate::plan::{self, Facts, Known, Step};
use crate::sealed;
use crate::store::{self, NewRecording};

pub(super) struct Merge(pub(super) Arc<Shared>);

#[async_trait]
impl Handler for Merge {
    fn kind(&self) -> JobKind {
        MERGE
    }

    fn policy(&self) -> Policy {
        Policy {
            concurrency: 4,
            lane_concurrency: None,
            lease: Duration::from_secs(30),
            timeout: Duration::from_secs(60),
            backoff: Backoff {
                first: Duration::from_secs(1),
                longest: Duration::from_mins(10),
            },
            // About two hours.
            max_attempts: 20,
        }
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        Ok(self.0.merge(lease).await?)
    }
}

/// One event, ready to be taken over.
pub(crate) struct Incoming<'a> {
    pub(crate) link_id: LinkId,
    pub(crate) meeting: &'a MeetingRecording,
    pub(crate) files: &'a BTreeMap<ZoomFileId, Facts>,
    pub(crate) key: &'a DataKey,
    pub(crate) traceparent: Option<String>,
}

impl Shared {
    async fn merge(&self, lease: &Lease) -> Result<Finished, RecordingsError> {
        let (inbox_id, link_id) = read_merge_key(lease.key())?;
        let link = store::link(&mut *self.db.conn().await?, link_id).await?;
        let Some(link) = living(link) else {
            METRICS.merged("link_gone");
            info!(link.id = %link_id, "the link of a recording event has ended; nothing is kept");
            return self.finish(lease).await;
        };
        let body = self.bodies.body(inbox_id).await.map_err(RecordingsError::Port)?;
        let event = RecordingEvent::parse(body.expose()).map_err(RecordingsError::Event)?;
        drop(body);
        if event.account_id != link.zoom_account_id {
            return Err(RecordingsError::OtherAccount);
        }
        let files = plan::files_of(&event.recording, event.download_token.as_ref(), event.event_ts);
        if files.is_empty() {
            METRICS.merged("no_files");
            info!(inbox.id = %inbox_id, "a recording event names no file that lies in Zoom's cloud");
            return self.finish(lease).await;
        }
        let key = self
            .vault
            .key(&KeyScope::Account(link.zoom_account_id.clone()))
            .await?;
        let incoming = Incoming {
            link_id,
            meeting: &event.recording,
            files: &files,
            key: &key,
            // Not asked for within the transaction, whose own span may be too fine to be recorded.
            traceparent: current_traceparent(),
        };
        let finished = self
            .db
            .run_tx(
                "merge_recording",
                async |conn: &mut Conn| -> Result<Finished, RecordingsError> {
                    self.merge_in(conn, lease, &incoming).await
                },
            )
            .await?;
        METRICS.merged("merged");
        Ok(finished)
    }

    async fn merge_in(
        &self,
        conn: &mut Conn,
        lease: &Lease,
        incoming: &Incoming<'_>,
    ) -> Result<Finished, RecordingsError> {
        self.merge_into(conn, incoming).await?;
        Ok(lease.finish(conn, self.now()).await?)
    }

    /// Takes over what Zoom says of a recording, whoever asked for it.
    pub(crate) async fn merge_into(
        &self,
        conn: &mut Conn,
        incoming: &Incoming<'_>,
    ) -> Result<(), RecordingsError> {
        let now = self.now();
        let Some(link) = living(store::hold_link(conn, incoming.link_id).await?) else {
            warn!(link.id = %incoming.link_id, "the link ended while one of its recording events was read");
            return Ok(());
        };
        let (meeting, key) = (incoming.meeting, incoming.key);
        let new = NewRecording {
            id: self.ids.make(),
            link_id: link.id,
            zoom_account_id: &link.zoom_account_id,
            meeting_uuid: &meeting.uuid,
        };
        store::insert_if_absent(conn, new, now).await?;
        let mut row = store::lock_by_meeting(conn, link.id, &meeting.uuid).await?;

        let mut known = BTreeMap::new();
        let mut taking = Taking {
            shared: self,
            account: &link.zoom_account_id,
            traceparent: incoming.traceparent.as_deref(),
            recording: row.id(),
            key,
            now,
            files: BTreeMap::new(),
        };
        for file in store::files_of_recording(conn, row.id()).await? {
            let (id, status) = (file.id(), file.status()?);
            taking.files.insert(id, (status, file.recorded_from));
            let facts = sealed::facts(key, &file);
            known.insert(file.zoom_file_id(), Known { id, status, facts });
        }
        for step in plan::plan(&known, incoming.files.clone()) {
            taking.carry_out(conn, step).await?;
        }

        // What was known first stays; all events of one meeting say the same, and a new name comes as another event.
        row.meeting_id = row.meeting_id.or(meeting.meeting_id);
        row.host_id = row.host_id.or_else(|| Some(meeting.host_id.as_str().to_owned()));
        if row.topic_sealed.is_none() && !meeting.topic.is_empty() {
            row.topic_sealed = Some(sealed::seal_topic(key, row.id(), &meeting.topic)?);
        }
        let starts = taking.files.values().map(|(_, start)| *start);
        row.started_at = plan::started_at(starts, row.started_at, meeting.start_time);
        let status = RecordingStatus::of_files(taking.files.values().map(|(status, _)| *status));
        store::describe(conn, &row, status, now).await?;
        Ok(self.progress.changed(conn, row.id()).await?)
    }
}

/// The files of one recording while an event is being taken over.
struct Taking<'a> {
    shared: &'a Shared,
    account: &'a ZoomAccountId,
    traceparent: Option<&'a str>,
    recording: RecordingId,
    key: &'a DataKey,
    now: Timestamp,
    /// Status and start of each file, as they stand by now.
    files: BTreeMap<FileId, (FileStatus, Option<Timestamp>)>,
}

impl Taking<'_> {
    // Job before file, as in the transaction that puts a job into quarantine: so the two never wait for each other.
    async fn carry_out(&mut self, conn: &mut Conn, step: Step) -> Result<(), RecordingsError> {
        match step {
            Step::Add { zoom_file_id, facts } => {
                let id = self.shared.ids.make();
                if facts.offer.is_some() {
                    self.want(conn, id).await?;
                }
                let values = sealed::file_values(self.key, id, &facts)?;
                store::insert_file(conn, id, self.recording, &zoom_file_id, values, self.now).await?;
                self.files.insert(id, (FileStatus::Pending, facts.recorded_from));
            }
            Step::Renew { id, status, facts } => {
                if status == FileStatus::Pending && facts.offer.is_some() {
                    self.want(conn, id).await?;
                }
                let values = sealed::file_values(self.key, id, &facts)?;
                store::renew_file(conn, id, status, values, self.now).await?;
                self.files.insert(id, (status, facts.recorded_from));
            }
            Step::Keep { id, fetch: true } => self.want(conn, id).await?,
            Step::Keep { fetch: false, .. } => {}
        }
        Ok(())
    }

    /// Asks for a file to be fetched.
    async fn want(&self, conn: &mut Conn, id: FileId) -> Result<(), RecordingsError> {
        let job = NewJob {
            kind: FETCH,
            key: &id.to_string(),
            lane: Some(self.account.as_str()),
            due_at: self.now,
            traceparent: self.traceparent,
        };
        Ok(enqueue(conn, &self.shared.ids, job).await?)
    }
}
