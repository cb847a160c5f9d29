use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domicile_kernel::random::random_bytes;
use domicile_kernel::state::{FileStatus, RecordingStatus};
use domicile_kernel::{FileId, RecordingId, Rng, Timestamp};
use domicile_leases::{
    Backoff, Finished, Handler, JobError, JobKind, Lease, LeaseError, NewJob, Policy, enqueue,
};
use domicile_objects::{ObjectKey, ObjectsError, StoredObject};
use domicile_store::{Conn, StoreError};
use domicile_vault::KeyScope;
use tracing::{info, warn};

use super::settle::Telling;
use super::token::expires_at;
use super::{FETCH, OBJECTS_FOLDER, SETTLE, Shared, living, read_key};
use crate::attempt::Attempt;
use crate::error::{FetchError, RecordingsError};
use crate::fetch::Wanted;
use crate::format::content_type_of;
use crate::metrics::METRICS;
use crate::plan::Offer;
use crate::sealed;
use crate::store::{self, FileRow, LinkRow, RecordingRow};

/// How long the API's download token shall live: it is used at once.
const API_TOKEN_LIFE: Duration = Duration::from_hours(1);
/// The failure class of a file whose link ended before it was fetched.
const LINK_REVOKED: &str = "link_revoked";

pub(super) struct Fetch(pub(super) Arc<Shared>);

#[async_trait]
impl Handler for Fetch {
    fn kind(&self) -> JobKind {
        FETCH
    }

    fn policy(&self) -> Policy {
        Policy {
            concurrency: 4,
            // One account whose downloads hang leaves room for the others.
            lane_concurrency: Some(2),
            lease: Duration::from_secs(60),
            timeout: Duration::from_hours(6),
            backoff: Backoff {
                first: Duration::from_secs(10),
                longest: Duration::from_hours(1),
            },
            // About a day, for outages of Zoom and files that are "not ready yet".
            max_attempts: 36,
        }
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        match self.0.fetch(lease).await {
            Ok(finished) => Ok(finished),
            Err(error) => {
                METRICS.fetch_failed(error.class());
                Err(error.into())
            }
        }
    }

    async fn quarantined(
        &self,
        conn: &mut Conn,
        lease: &Lease,
        class: &'static str,
    ) -> Result<(), StoreError> {
        // A key that is no id names no file.
        let Ok(id) = read_key::<FileId>(lease.key()) else {
            return Ok(());
        };
        let Some(file) = store::file(conn, id).await? else {
            return Ok(());
        };
        let now = self.0.now();
        store::mark_failed(conn, id, class, now).await?;
        // The event needs the account's key, and what the last attempt left must be deleted: neither is done within a
        // transaction.
        let job = NewJob {
            kind: SETTLE,
            key: &file.recording_id().to_string(),
            lane: None,
            due_at: now,
            traceparent: lease.traceparent(),
        };
        enqueue(conn, &self.0.ids, job).await
    }
}

/// A file that is to be fetched, with what it belongs to.
struct Target {
    file: FileRow,
    recording: RecordingRow,
    link: LinkRow,
}

impl Shared {
    async fn fetch(&self, lease: &Lease) -> Result<Finished, RecordingsError> {
        let id: FileId = read_key(lease.key())?;
        let (file, recording, link) = {
            let mut conn = self.db.conn().await?;
            let Some(file) = store::file(&mut conn, id).await? else {
                drop(conn);
                return self.finish(lease).await;
            };
            let Some((recording, _)) = store::one_listed(&mut conn, file.recording_id()).await? else {
                drop(conn);
                return self.finish(lease).await;
            };
            let link = store::link(&mut conn, recording.link_id()).await?;
            (file, recording, link)
        };
        if file.status()? == FileStatus::Stored {
            return self.finish(lease).await;
        }
        let Some(link) = living(link) else {
            return self.abandon(lease, id, recording.id()).await;
        };
        let target = Target {
            file,
            recording,
            link,
        };
        let Some(attempt) = self.begin(lease, &target).await? else {
            return self.finish(lease).await;
        };
        let started = Instant::now();
        match self.store(lease, &target, attempt.key()).await {
            Ok(Some((finished, object))) => {
                attempt.keep();
                METRICS.stored(object.size_bytes, started.elapsed());
                info!(file.id = %id, size_bytes = object.size_bytes, "a recording file is stored");
                Ok(finished)
            }
            // The link ended meanwhile, and whoever ended it may have passed here already: nothing may stay behind.
            Ok(None) => {
                attempt.discard().await;
                self.abandon(lease, id, target.recording.id()).await
            }
            Err(error) => {
                attempt.discard().await;
                Err(error)
            }
        }
    }

    /// Gives this attempt a key of its own, once nothing stands any more under that of an attempt that died. `None` if
    /// there is nothing left to fetch.
    async fn begin(&self, lease: &Lease, target: &Target) -> Result<Option<Attempt>, RecordingsError> {
        let id = target.file.id();
        let key = object_key(target, self.ids.rng().as_ref())?;
        let mut deleted = None;
        loop {
            let beginning = self
                .db
                .run_tx(
                    "begin_recording_attempt",
                    async |conn: &mut Conn| -> Result<Beginning, RecordingsError> {
                        self.begin_in(conn, lease, target, &key, deleted.as_ref()).await
                    },
                )
                .await?;
            match beginning {
                Beginning::NothingToFetch => return Ok(None),
                Beginning::Begun => return Ok(Some(Attempt::new(self.leftovers.clone(), id, key))),
                // Deleted before the row forgets it, so that a crash in between leaves a trace.
                Beginning::After(former) => {
                    self.downloader
                        .storage
                        .delete(&former)
                        .await
                        .map_err(FetchError::from)?;
                    deleted = Some(former);
                }
            }
        }
    }

    async fn begin_in(
        &self,
        conn: &mut Conn,
        lease: &Lease,
        target: &Target,
        key: &ObjectKey,
        deleted: Option<&ObjectKey>,
    ) -> Result<Beginning, RecordingsError> {
        let (now, id) = (self.now(), target.file.id());
        if store::lock(conn, target.recording.id()).await?.is_none() {
            return Ok(Beginning::NothingToFetch);
        }
        let Some(file) = store::lock_file(conn, id).await? else {
            return Ok(Beginning::NothingToFetch);
        };
        // While this lease is held, the key in the row is that of an attempt without one, which nobody can commit.
        lease.check(conn).await?;
        let status = file.status()?;
        if status == FileStatus::Stored {
            return Ok(Beginning::NothingToFetch);
        }
        if let Some(former) = file.attempt_key()?
            && Some(&former) != deleted
        {
            return Ok(Beginning::After(former));
        }
        store::begin_attempt(conn, id, key, now).await?;
        if status == FileStatus::Failed {
            set_status_of_files(conn, target.recording.id(), now).await?;
        }
        Ok(Beginning::Begun)
    }

    /// Brings the file and writes that it is stored. `None` if its link has ended.
    async fn store(
        &self,
        lease: &Lease,
        target: &Target,
        key: &ObjectKey,
    ) -> Result<Option<(Finished, StoredObject)>, RecordingsError> {
        let object = self.bring(target, key).await?;
        let finished = self.commit(lease, target, key, &object).await?;
        Ok(finished.map(|finished| (finished, object)))
    }

    /// Fetches the file with what the event offered, else with what the API offers.
    async fn bring(&self, target: &Target, key: &ObjectKey) -> Result<StoredObject, RecordingsError> {
        let offer = sealed::open_offer(&self.vault, &target.file).await?;
        let reason = match &offer {
            None => "no_url",
            Some(Offer { token: None, .. }) => "no_token",
            Some(Offer {
                token: Some(token), ..
            }) if expires_at(token).is_some_and(|end| end <= self.now()) => "token_expired",
            Some(Offer {
                url,
                token: Some(token),
                size_bytes,
                ..
            }) => {
                let wanted = Wanted {
                    url,
                    token,
                    announced: *size_bytes,
                    extension: &target.file.extension,
                    key,
                };
                match self.downloader.download(&wanted).await {
                    Err(error) if error.is_refusal() => error.class(),
                    outcome => return Ok(outcome?),
                }
            }
        };
        METRICS.fallback(reason);
        info!(
            file.id = %target.file.id(),
            reason,
            "the event's own offer does not open the file; asking Zoom's API for another"
        );
        self.bring_by_api(target, key).await
    }

    async fn bring_by_api(&self, target: &Target, key: &ObjectKey) -> Result<StoredObject, RecordingsError> {
        let (access_token, base) = self
            .tokens
            .access_token(target.link.id)
            .await
            .map_err(RecordingsError::Port)?;
        let meeting = target.recording.meeting_uuid();
        let recording = self
            .api
            .meeting_recordings(&base, &access_token, &meeting, Some(API_TOKEN_LIFE))
            .await
            .map_err(RecordingsError::Api)?;
        let wanted_id = target.file.zoom_file_id();
        let file = recording
            .files
            .iter()
            .find(|file| file.zoom_file_id == wanted_id && file.is_ready())
            .ok_or(RecordingsError::NotOffered)?;
        let wanted = Wanted {
            url: file.download_url.as_ref().ok_or(RecordingsError::NotOffered)?,
            // A role that may not view content gets no token of its own, but may well download.
            token: recording.download_access_token.as_ref().unwrap_or(&access_token),
            announced: file.file_size_bytes,
            extension: &target.file.extension,
            key,
        };
        Ok(self.downloader.download(&wanted).await?)
    }

    /// Writes that the file is stored. Nothing is written, and `None` returned, if its link has ended.
    async fn commit(
        &self,
        lease: &Lease,
        target: &Target,
        key: &ObjectKey,
        object: &StoredObject,
    ) -> Result<Option<Finished>, RecordingsError> {
        let telling = Telling {
            topic: sealed::open_topic(&self.vault, &target.recording).await?,
            key: self
                .vault
                .key(&KeyScope::Account(target.recording.account()))
                .await?,
        };
        let content_type = content_type_of(&target.file.extension);
        self.db
            .run_tx(
                "store_recording_file",
                async |conn: &mut Conn| -> Result<Option<Finished>, RecordingsError> {
                    let now = self.now();
                    let Some(link) = living(store::hold_link(conn, target.link.id).await?) else {
                        return Ok(None);
                    };
                    let Some(recording) = store::lock(conn, target.recording.id()).await? else {
                        return Ok(None);
                    };
                    if !store::mark_stored(conn, target.file.id(), key, object, content_type, now).await? {
                        return Err(LeaseError::Lost.into());
                    }
                    self.settle_in(conn, &recording, &link, &telling, now).await?;
                    self.progress.changed(conn, recording.id()).await?;
                    Ok(Some(lease.finish(conn, now).await?))
                },
            )
            .await
    }

    /// Ends the job of a file whose link has ended. The app is not told: it ended the link, or was told so.
    async fn abandon(
        &self,
        lease: &Lease,
        id: FileId,
        recording: RecordingId,
    ) -> Result<Finished, RecordingsError> {
        warn!(file.id = %id, "the link of a recording file has ended; it is not fetched");
        let file = store::file(&mut *self.db.conn().await?, id).await?;
        // An ended link never comes back, so nobody can commit an attempt for it.
        if let Some(key) = file.as_ref().map(FileRow::attempt_key).transpose()?.flatten() {
            self.leftovers.clear(id, &key).await?;
        }
        self.db
            .run_tx(
                "abandon_recording_file",
                async |conn: &mut Conn| -> Result<Finished, RecordingsError> {
                    let now = self.now();
                    if store::lock(conn, recording).await?.is_some() {
                        store::mark_failed(conn, id, LINK_REVOKED, now).await?;
                        set_status_of_files(conn, recording, now).await?;
                    }
                    Ok(lease.finish(conn, now).await?)
                },
            )
            .await
    }
}

/// How an attempt begins.
enum Beginning {
    /// The file is stored or gone.
    NothingToFetch,
    /// First the object of an attempt that died has to go.
    After(ObjectKey),
    /// The row names this attempt's key.
    Begun,
}

/// Writes the status of a locked recording that follows from its files. The app is not told.
async fn set_status_of_files(
    conn: &mut Conn,
    recording: RecordingId,
    now: Timestamp,
) -> Result<(), RecordingsError> {
    let files = store::files_of_recording(conn, recording).await?;
    let statuses: Vec<_> = files.iter().map(FileRow::status).collect::<Result<_, _>>()?;
    Ok(store::set_status(conn, recording, RecordingStatus::of_files(statuses), now).await?)
}

/// Ids, chance and an ending alone, so the key holds no personal data. It is another for each attempt, so a worker that
/// lost its lease cannot overwrite what the next one stored.
fn object_key(target: &Target, rng: &dyn Rng) -> Result<ObjectKey, RecordingsError> {
    let (link, recording) = (target.link.id, target.recording.id());
    let random = hex::encode(random_bytes::<16>(rng));
    let name = format!("{}-{random}.{}", target.file.id, target.file.extension);
    ObjectKey::from_segments([
        OBJECTS_FOLDER.to_owned(),
        link.to_string(),
        recording.to_string(),
        name,
    ])
    .map_err(|error| FetchError::Storage(ObjectsError::from(error)).into())
}
