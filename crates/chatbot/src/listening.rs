//! What people say to the bot: answered here, or passed on to the app.

mod cards;
mod hearing;
mod mailbox;
mod metrics;
mod progress;
mod replies;
mod telling;

use std::sync::Arc;

use async_trait::async_trait;
use domicile_kernel::state::RecordingStatus;
use domicile_kernel::{
    Ids, InboxId, LinkId, RecordingId, Secret, Subject, Timestamp, ZoomAccountId, ZoomUserId,
};
use domicile_leases::{Handler, JobError, JobKind, NewJob, enqueue};
use domicile_region::Directory;
use domicile_region::words::Words;
use domicile_store::{Conn, Db, Outbox, StoreError};
use domicile_vault::Vault;
use url::Url;

use crate::messages::Messages;

pub use mailbox::mailbox;
pub use replies::Reply;

/// Takes one thing that was said. Key: the inbox id.
pub const BOT_EVENT: JobKind = JobKind("bot.event");
/// Shows how far the fetching of a recording has come. Key: the recording's id.
pub const BOT_PROGRESS: JobKind = JobKind("bot.progress");

/// Opens what Zoom sent, as the inbox keeps it.
#[async_trait]
pub trait Bodies: Send + Sync {
    /// The verified raw body of an inbox row.
    async fn body(&self, inbox_id: InboxId) -> Result<Secret<Vec<u8>>, JobError>;
}

/// What this region knows of somebody who speaks to the bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The account belongs to another region: it is not admitted here.
    Elsewhere,
    /// Welcome, and not linked.
    Unlinked,
    /// Linked.
    Linked {
        /// The link: the user's own, else the account's.
        link_id: LinkId,
        /// Whom the app linked.
        subject: Subject,
        /// Whether the authorization has ended.
        needs_reauthorization: bool,
    },
}

/// Knows who speaks.
#[async_trait]
pub trait Speakers: Send + Sync {
    /// What is known of this user, by exact ids (INV-7).
    async fn standing(
        &self,
        conn: &mut Conn,
        account: &ZoomAccountId,
        user: Option<&ZoomUserId>,
    ) -> Result<Standing, StoreError>;
}

/// A recording, in short. It has no `Debug`: the topic is personal data.
pub struct ShelvedRecording {
    /// Its id.
    pub id: RecordingId,
    /// The link that it was fetched for.
    pub link_id: LinkId,
    /// Whom it is about.
    pub subject: Subject,
    /// The account and the user that the link leads to.
    pub zoom: (ZoomAccountId, Option<ZoomUserId>),
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

/// Shows recordings.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// The last recordings of a subject, latest first.
    async fn latest(&self, subject: &Subject, limit: i64) -> Result<Vec<ShelvedRecording>, JobError>;

    /// One recording.
    async fn recording(&self, id: RecordingId) -> Result<Option<ShelvedRecording>, JobError>;
}

/// What the listening half of the room is made of.
pub struct ListeningParts {
    /// The region's database.
    pub db: Db,
    /// Ids, clock and randomness.
    pub ids: Ids,
    /// Seals what is told.
    pub vault: Vault,
    /// Tells the app.
    pub outbox: Arc<dyn Outbox>,
    /// Opens what Zoom sent.
    pub bodies: Arc<dyn Bodies>,
    /// Knows who speaks.
    pub speakers: Arc<dyn Speakers>,
    /// Shows recordings.
    pub shelf: Arc<dyn Shelf>,
    /// Speaks.
    pub messages: Messages,
    /// What the roof chooses.
    pub settings: ListeningSettings,
}

/// What the roof chooses for listening.
pub struct ListeningSettings {
    /// `DOMICILE_REGION_NAME`.
    pub region_name: String,
    /// `DOMICILE_APP_START_URL`: where linking begins.
    pub start_url: Url,
    /// The region's own address, below which connect URLs lie.
    pub public_url: Url,
    /// The public list of regions.
    pub directory: Directory,
    /// The region's own id in it.
    pub region_id: domicile_kernel::RegionId,
    /// `DOMICILE_BOT_WORDS`.
    pub words: Words,
    /// `DOMICILE_BOT_PROGRESS`.
    pub progress: bool,
}

/// Hears what is said to the bot. Cheap to clone.
#[derive(Clone)]
pub struct Listening {
    inner: Arc<ListeningParts>,
}

impl Listening {
    /// The listening half of the room.
    pub fn new(parts: ListeningParts) -> Self {
        metrics::METRICS.start_at_zero();
        Self {
            inner: Arc::new(parts),
        }
    }

    /// The handlers of its jobs.
    pub fn handlers(&self) -> Vec<Arc<dyn Handler>> {
        vec![
            Arc::new(hearing::Hearing(self.clone())),
            Arc::new(progress::Progress(self.clone())),
        ]
    }

    /// Takes what was said, in the transaction that dispatches it. One account's silence at Zoom or elsewhere never delays
    /// another's: each is a lane.
    pub async fn take(
        &self,
        conn: &mut Conn,
        inbox_id: InboxId,
        account: &ZoomAccountId,
        traceparent: Option<&str>,
    ) -> Result<(), StoreError> {
        let job = NewJob {
            kind: BOT_EVENT,
            key: &inbox_id.to_string(),
            lane: Some(account.as_str()),
            due_at: self.now(),
            traceparent,
        };
        enqueue(conn, &self.inner.ids, job).await
    }

    /// Notes that the fetching of a recording has come further, in the transaction that says so.
    pub async fn progressed(&self, conn: &mut Conn, recording: RecordingId) -> Result<(), StoreError> {
        if !self.inner.settings.progress {
            return Ok(());
        }
        let traceparent = domicile_telemetry::current_traceparent();
        let job = NewJob {
            kind: BOT_PROGRESS,
            key: &recording.to_string(),
            lane: None,
            due_at: self.now(),
            traceparent: traceparent.as_deref(),
        };
        enqueue(conn, &self.inner.ids, job).await
    }

    fn now(&self) -> Timestamp {
        self.inner.ids.clock().now()
    }
}
