use std::time::Duration;

use async_trait::async_trait;
use domicile_kernel::RecordingId;
use domicile_kernel::state::RecordingStatus;
use domicile_leases::{Backoff, Finished, Handler, JobError, JobKind, Lease, Policy};
use domicile_store::Conn;

use super::cards::Cards;
use super::{BOT_PROGRESS, Listening, ShelvedRecording};
use crate::error::ChatbotError;
use crate::messages::{NewMessage, PreparedEdit, PreparedMessage, Recipient};
use crate::origin::Origin;
use crate::store;

/// Shows how far a recording has come: one message, edited as its files arrive. Several changes in a row make one edit, since
/// each run shows what is true then.
pub(super) struct Progress(pub(super) Listening);

/// What is to be written.
enum Change {
    Nothing,
    Begin(Box<PreparedMessage>),
    GoOn(PreparedEdit),
}

#[async_trait]
impl Handler for Progress {
    fn kind(&self) -> JobKind {
        BOT_PROGRESS
    }

    fn policy(&self) -> Policy {
        Policy {
            concurrency: 2,
            lane_concurrency: None,
            lease: Duration::from_secs(30),
            timeout: Duration::from_secs(20),
            backoff: Backoff {
                first: Duration::from_secs(2),
                longest: Duration::from_mins(10),
            },
            max_attempts: 10,
        }
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        let id: RecordingId = lease
            .key()
            .parse()
            .map_err(|_| JobError::from(ChatbotError::MalformedKey))?;
        let change = match self.0.inner.shelf.recording(id).await? {
            Some(recording) => self.change(&recording).await?,
            None => Change::Nothing,
        };
        Ok(self.write(lease, &change).await?)
    }
}

impl Progress {
    async fn change(&self, recording: &ShelvedRecording) -> Result<Change, ChatbotError> {
        let inner = &self.0.inner;
        let origin = Origin::progress(recording.id);
        let (account, user) = &recording.zoom;
        let (Some(user), true) = (user, inner.settings.progress) else {
            return Ok(Change::Nothing);
        };
        let (begun, jid) = {
            let mut conn = inner.db.conn().await?;
            let begun = inner.messages.by_origin(&mut conn, &origin).await?;
            // Only people who have spoken to the bot are spoken to.
            let jid = store::jid_of(&mut conn, account, user).await?;
            (begun, jid)
        };
        let content = Cards(&inner.settings).progress(recording)?;
        Ok(match (begun, jid) {
            (Some(begun), _) => Change::GoOn(inner.messages.prepare_edit(begun.id, account, &content).await?),
            // What is over already was never announced, and is not news any more.
            (None, Some(jid)) if recording.status == RecordingStatus::Fetching => {
                let message = NewMessage {
                    origin,
                    account: account.clone(),
                    recipient: Recipient {
                        to_jid: jid.clone(),
                        user_jid: Some(jid),
                        reply_to: None,
                        visible_to_user: None,
                    },
                    link: Some((recording.link_id, recording.subject.clone())),
                    content,
                    markdown: false,
                    callback: None,
                    traceparent: domicile_telemetry::current_traceparent(),
                };
                Change::Begin(Box::new(inner.messages.prepare(message).await?))
            }
            (None, _) => Change::Nothing,
        })
    }

    async fn write(&self, lease: &Lease, change: &Change) -> Result<Finished, ChatbotError> {
        let inner = &self.0.inner;
        let now = self.0.now();
        inner
            .db
            .run_tx(
                "bot_progress",
                async |conn: &mut Conn| -> Result<Finished, ChatbotError> {
                    match change {
                        Change::Nothing => {}
                        Change::Begin(message) => {
                            inner.messages.write(conn, message).await?;
                        }
                        // One that can no longer be changed, or that was taken back, stays as it is.
                        Change::GoOn(edit) => {
                            inner.messages.write_edit(conn, edit).await?;
                        }
                    }
                    Ok(lease.finish(conn, now).await?)
                },
            )
            .await
    }
}
