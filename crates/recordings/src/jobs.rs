//! The room's jobs: merge an event, fetch a file, settle a recording.

mod fetch;
pub(crate) mod merge;
mod settle;
mod token;

use std::str::FromStr;
use std::sync::Arc;

use domicile_egress::Client;
use domicile_kernel::state::LinkStatus;
use domicile_kernel::{Ids, InboxId, LinkId, Timestamp};
use domicile_leases::{Finished, Handler, JobKind, Lease, LeaseError, NewJob, enqueue};
use domicile_objects::ObjectStorage;
use domicile_store::{Conn, Db, Outbox, StoreError};
use domicile_vault::Vault;
use domicile_zoom::api::ZoomApi;

use crate::attempt::Leftovers;
use crate::error::RecordingsError;
use crate::fetch::Downloader;
use crate::metrics::METRICS;
use crate::ports::{AccessTokens, InboxBodies, Progress};
use crate::store::LinkRow;

/// Takes one event over into recordings and files. Key: `<inbox id>:<link id>`.
pub const MERGE: JobKind = JobKind("recording.merge");
/// Fetches one file into storage. Key: the file's id.
pub const FETCH: JobKind = JobKind("recording.fetch");
/// Clears away what the attempts at files that were given up left in storage, computes the status of a recording anew and
/// tells the app if it ended. Key: the recording's id.
pub const SETTLE: JobKind = JobKind("recording.settle");

/// Below this all objects of this room lie.
pub(crate) const OBJECTS_FOLDER: &str = "recordings";

/// What the jobs work with.
#[derive(Clone)]
pub struct Parts {
    /// The region's database.
    pub db: Db,
    /// Makes ids, and tells the time.
    pub ids: Ids,
    /// Seals and opens.
    pub vault: Vault,
    /// Where files are stored.
    pub storage: ObjectStorage,
    /// Tells the app.
    pub outbox: Arc<dyn Outbox>,
    /// Opens what Zoom sent.
    pub bodies: Arc<dyn InboxBodies>,
    /// Gives access tokens, for files that the event's own token does not open.
    pub tokens: Arc<dyn AccessTokens>,
    /// Hears how it goes on.
    pub progress: Arc<dyn Progress>,
    /// Downloads. Without a total time-out, since files have any size; [`FETCH`] has its own.
    pub downloads: Client,
    /// Zoom's API; its hosts are also those that files may be fetched from.
    pub api: ZoomApi,
}

pub(crate) struct Shared {
    pub(crate) db: Db,
    pub(crate) ids: Ids,
    pub(crate) vault: Vault,
    outbox: Arc<dyn Outbox>,
    bodies: Arc<dyn InboxBodies>,
    pub(crate) tokens: Arc<dyn AccessTokens>,
    progress: Arc<dyn Progress>,
    pub(crate) api: ZoomApi,
    downloader: Downloader,
    leftovers: Leftovers,
}

/// The handlers of all three kinds, for the workers.
pub fn handlers(parts: Parts) -> Vec<Arc<dyn Handler>> {
    METRICS.start_at_zero();
    let shared = Arc::new(Shared::new(parts));
    vec![
        Arc::new(merge::Merge(Arc::clone(&shared))),
        Arc::new(fetch::Fetch(Arc::clone(&shared))),
        Arc::new(settle::Settle(shared)),
    ]
}

/// Takes an event that Zoom sent about a recording, for one link, in the transaction that dispatches it. It is for the
/// events `recording.completed` and `recording.transcript_completed`.
pub async fn take(
    conn: &mut Conn,
    ids: &Ids,
    inbox_id: InboxId,
    link_id: LinkId,
    traceparent: Option<&str>,
) -> Result<(), StoreError> {
    let job = NewJob {
        kind: MERGE,
        key: &merge_key(inbox_id, link_id),
        lane: None,
        due_at: ids.clock().now(),
        traceparent,
    };
    enqueue(conn, ids, job).await
}

fn merge_key(inbox_id: InboxId, link_id: LinkId) -> String {
    format!("{inbox_id}:{link_id}")
}

fn read_merge_key(key: &str) -> Result<(InboxId, LinkId), RecordingsError> {
    let (inbox_id, link_id) = key.split_once(':').ok_or(RecordingsError::MalformedKey)?;
    Ok((read_key(inbox_id)?, read_key(link_id)?))
}

fn read_key<T: FromStr>(key: &str) -> Result<T, RecordingsError> {
    key.parse().map_err(|_| RecordingsError::MalformedKey)
}

/// The link, while something may still be done for it. A lost grant does not end it: the event has a token of its own.
pub(crate) fn living(link: Option<LinkRow>) -> Option<LinkRow> {
    link.filter(|link| link.status != LinkStatus::Revoked)
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            leftovers: Leftovers {
                db: parts.db.clone(),
                storage: parts.storage.clone(),
                clock: Arc::clone(parts.ids.clock()),
            },
            downloader: Downloader {
                client: parts.downloads,
                hosts: Arc::new(parts.api.hosts().clone()),
                storage: parts.storage,
                clock: Arc::clone(parts.ids.clock()),
            },
            db: parts.db,
            ids: parts.ids,
            vault: parts.vault,
            outbox: parts.outbox,
            bodies: parts.bodies,
            tokens: parts.tokens,
            progress: parts.progress,
            api: parts.api,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ids.clock().now()
    }

    /// Ends a job for which there is nothing left to do.
    async fn finish(&self, lease: &Lease) -> Result<Finished, RecordingsError> {
        Ok(self
            .db
            .run_tx(
                "finish_recording_job",
                async |conn: &mut Conn| -> Result<Finished, LeaseError> {
                    lease.finish(conn, self.now()).await
                },
            )
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domicile_kernel::FileId;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_merge_key_is_read_back(inbox: u128, link: u128) {
            let inbox_id = InboxId::from_uuid(uuid::Uuid::from_u128(inbox));
            let link_id = LinkId::from_uuid(uuid::Uuid::from_u128(link));
            let (inbox_read, link_read) = read_merge_key(&merge_key(inbox_id, link_id)).unwrap();
            prop_assert_eq!((inbox_read, link_read), (inbox_id, link_id));
        }

        #[test]
        fn any_other_key_is_malformed(key in "[0-9a-f:-]{0,40}") {
            prop_assert!(matches!(read_merge_key(&key), Err(RecordingsError::MalformedKey)));
            let no_id = format!("{key}?");
            prop_assert!(read_key::<FileId>(&no_id).is_err());
        }
    }
}
