use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domicile_kernel::state::{FileStatus, RecordingStatus};
use domicile_kernel::{EventId, RecordingId, Timestamp};
use domicile_leases::{Backoff, Finished, Handler, JobError, JobKind, Lease, Policy};
use domicile_store::{Conn, NewEvent};
use domicile_vault::{DataKey, KeyScope, Place};
use zeroize::Zeroizing;

use super::{SETTLE, Shared, living, read_key};
use crate::error::RecordingsError;
use crate::metrics::METRICS;
use crate::sealed;
use crate::store::{self, FileRow, LinkRow, RecordingRow};
use crate::view::{EventData, RecordingView, Topic};

/// The version of the shape of the events' data.
const EVENT_VERSION: i16 = 1;

pub(super) struct Settle(pub(super) Arc<Shared>);

#[async_trait]
impl Handler for Settle {
    fn kind(&self) -> JobKind {
        SETTLE
    }

    fn policy(&self) -> Policy {
        Policy {
            concurrency: 2,
            lane_concurrency: None,
            lease: Duration::from_secs(30),
            timeout: Duration::from_secs(60),
            backoff: Backoff {
                first: Duration::from_secs(1),
                longest: Duration::from_mins(10),
            },
            max_attempts: 20,
        }
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        Ok(self.0.settle(lease).await?)
    }
}

/// What a transaction needs to tell the app of a recording.
pub(super) struct Telling {
    pub(super) topic: Option<Topic>,
    pub(super) key: DataKey,
}

impl Shared {
    async fn settle(&self, lease: &Lease) -> Result<Finished, RecordingsError> {
        let id: RecordingId = read_key(lease.key())?;
        let found = store::one_listed(&mut *self.db.conn().await?, id).await?;
        let Some((recording, _)) = found else {
            return self.finish(lease).await;
        };
        // Done both, even where one of them fails: storage in trouble does not keep the news from the app.
        let told = self.settle_and_tell(lease, &recording).await;
        let cleared = self.clear_given_up(id).await;
        told.and(cleared)?;
        self.finish(lease).await
    }

    async fn settle_and_tell(&self, lease: &Lease, recording: &RecordingRow) -> Result<(), RecordingsError> {
        let telling = Telling {
            topic: sealed::open_topic(&self.vault, recording).await?,
            key: self.vault.key(&KeyScope::Account(recording.account())).await?,
        };
        self.db
            .run_tx(
                "settle_recording",
                async |conn: &mut Conn| -> Result<(), RecordingsError> {
                    let now = self.now();
                    let link = living(store::hold_link(conn, recording.link_id()).await?);
                    let locked = store::lock(conn, recording.id()).await?;
                    if let (Some(link), Some(locked)) = (link, locked) {
                        self.settle_in(conn, &locked, &link, &telling, now).await?;
                        self.progress.changed(conn, locked.id()).await?;
                    }
                    Ok(lease.check(conn).await?)
                },
            )
            .await
    }

    /// Deletes what the attempts at files that were given up left in storage.
    async fn clear_given_up(&self, id: RecordingId) -> Result<(), RecordingsError> {
        let files = store::files_of_recording(&mut *self.db.conn().await?, id).await?;
        for file in files {
            // No attempt at such a file can be committed: one that may be makes the file wait again when it begins.
            if file.status()? == FileStatus::Failed
                && let Some(key) = file.attempt_key()?
            {
                self.leftovers.clear(file.id(), &key).await?;
            }
        }
        Ok(())
    }

    /// Computes the status of a locked recording from its files and, when it comes to an end by that, tells the app.
    pub(super) async fn settle_in(
        &self,
        conn: &mut Conn,
        recording: &RecordingRow,
        link: &LinkRow,
        telling: &Telling,
        now: Timestamp,
    ) -> Result<(), RecordingsError> {
        let files = store::files_of_recording(conn, recording.id()).await?;
        let statuses: Vec<_> = files.iter().map(FileRow::status).collect::<Result<_, _>>()?;
        let status = RecordingStatus::of_files(statuses);
        if status == recording.status()? {
            return Ok(());
        }
        store::set_status(conn, recording.id(), status, now).await?;
        let event_type = match status {
            RecordingStatus::Fetching => return Ok(()),
            RecordingStatus::Stored => "recording.stored",
            RecordingStatus::Incomplete => "recording.incomplete",
        };
        let view = RecordingView::new(
            recording,
            link.subject.clone(),
            status,
            telling.topic.clone(),
            &files,
        )?;
        let data = Zeroizing::new(
            serde_json::to_vec(&EventData { recording: view })
                .map_err(|_| RecordingsError::Sealed("events.data_sealed"))?,
        );
        let id: EventId = self.ids.make();
        let event = NewEvent {
            id,
            mailbox: link.id.into(),
            event_type,
            version: EVENT_VERSION,
            subject: Some(link.subject.clone()),
            account: Some(recording.account()),
            occurred_at: now,
            data_sealed: telling.key.seal(Place::new("events", "data_sealed", id), &data)?,
        };
        self.outbox.write(conn, event).await?;
        // Since the latest event that brought files: a transcript may follow a day later.
        METRICS.ended(status, (now - recording.updated_at).to_std().unwrap_or_default());
        Ok(())
    }
}
