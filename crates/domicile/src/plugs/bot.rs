//! The bot's plugs.

use async_trait::async_trait;
use domicile_chatbot::listening::{Bodies, Listening, Reply, Shelf, ShelvedRecording, Speakers, Standing};
use domicile_chatbot::{BotEraser, LinkedUser, Links};
use domicile_delivery::{Answer, AnswerReader};
use domicile_intake::{AccountEvent, AccountEventHandler, Endpoint, Intake};
use domicile_kernel::state::LinkStatus;
use domicile_kernel::{EventId, InboxId, RecordingId, Secret, Subject, ZoomAccountId, ZoomUserId};
use domicile_leases::JobError;
use domicile_linking::{EndedLink, Erasure, LinkEraser, Linking};
use domicile_recordings::{Library, Progress, RecordingBrief, RecordingsError};
use domicile_store::{Conn, StoreError};
use domicile_zoom::event::bot::BOT_EVENT_TYPES;

/// Linking has the bot's messages for a link erased.
pub struct ErasedMessages(pub BotEraser);

#[async_trait]
impl LinkEraser for ErasedMessages {
    async fn erase(&self, link: &EndedLink) -> Result<Erasure, JobError> {
        self.0.erase(link.id).await?;
        Ok(Erasure::Done)
    }
}

/// The bot asks linking whom a subject is linked to.
pub struct LinkedUsers;

#[async_trait]
impl Links for LinkedUsers {
    async fn by_subject(&self, conn: &mut Conn, subject: &Subject) -> Result<Option<LinkedUser>, StoreError> {
        let link = Linking::live_by_subject(conn, subject).await?;
        Ok(link.map(|link| LinkedUser {
            link_id: link.id,
            account: link.zoom_account_id,
            user: link.zoom_user_id,
        }))
    }

    async fn sole_account(&self, conn: &mut Conn) -> Result<Option<ZoomAccountId>, StoreError> {
        Linking::sole_account(conn).await
    }
}

/// Intake hands the bot what is said to it: all that comes to its endpoint, and its events that come to the other.
pub struct BotEvents(pub Listening);

#[async_trait]
impl AccountEventHandler for BotEvents {
    fn event_types(&self) -> &[&str] {
        BOT_EVENT_TYPES
    }

    fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint::Bot)
    }

    async fn take(&self, conn: &mut Conn, event: &AccountEvent) -> Result<(), StoreError> {
        let traceparent = event.traceparent.as_deref();
        self.0
            .take(conn, event.inbox_id, &event.zoom_account_id, traceparent)
            .await
    }
}

/// The bot reads bodies that intake keeps.
pub struct BotBodies(pub Intake);

#[async_trait]
impl Bodies for BotBodies {
    async fn body(&self, inbox_id: InboxId) -> Result<Secret<Vec<u8>>, JobError> {
        let body = self.0.body(inbox_id).await;
        body.map_err(|error| JobError::new("inbox_body", error.fate(), error))
    }
}

/// The bot asks linking who speaks.
pub struct LinkedSpeakers(pub Linking);

#[async_trait]
impl Speakers for LinkedSpeakers {
    async fn standing(
        &self,
        conn: &mut Conn,
        account: &ZoomAccountId,
        user: Option<&ZoomUserId>,
    ) -> Result<Standing, StoreError> {
        if let Some(link) = Linking::route(conn, account, user).await? {
            return Ok(Standing::Linked {
                link_id: link.id,
                subject: link.subject,
                needs_reauthorization: link.status == LinkStatus::NeedsReauthorization,
            });
        }
        Ok(if self.0.admits(conn, account).await? {
            Standing::Unlinked
        } else {
            Standing::Elsewhere
        })
    }
}

/// The bot shows recordings of the library.
pub struct RecordingShelf {
    /// The recordings.
    pub library: Library,
    /// Knows whose they are at Zoom.
    pub linking: Linking,
}

impl RecordingShelf {
    async fn shelved(&self, brief: RecordingBrief) -> Result<Option<ShelvedRecording>, JobError> {
        let link = self.linking.link(brief.link_id).await;
        let link = link.map_err(|error| JobError::new("link", error.fate(), error))?;
        Ok(link.map(|link| ShelvedRecording {
            id: brief.id,
            link_id: brief.link_id,
            subject: brief.subject,
            zoom: (link.zoom_account_id, link.zoom_user_id),
            topic: brief.topic,
            started_at: brief.started_at,
            status: brief.status,
            files: brief.files,
            files_stored: brief.files_stored,
        }))
    }
}

fn of_library(error: RecordingsError) -> JobError {
    JobError::new(error.class(), error.fate(), error)
}

#[async_trait]
impl Shelf for RecordingShelf {
    async fn latest(&self, subject: &Subject, limit: i64) -> Result<Vec<ShelvedRecording>, JobError> {
        let mut shelved = Vec::new();
        for brief in self.library.latest(subject, limit).await.map_err(of_library)? {
            shelved.extend(self.shelved(brief).await?);
        }
        Ok(shelved)
    }

    async fn recording(&self, id: RecordingId) -> Result<Option<ShelvedRecording>, JobError> {
        match self.library.brief(id).await.map_err(of_library)? {
            Some(brief) => self.shelved(brief).await,
            None => Ok(None),
        }
    }
}

/// Recordings tell the bot how far they have come.
pub struct ShownProgress(pub Listening);

#[async_trait]
impl Progress for ShownProgress {
    async fn changed(&self, conn: &mut Conn, recording: RecordingId) -> Result<(), StoreError> {
        self.0.progressed(conn, recording).await
    }
}

/// Delivery hands the bot what the app answers.
pub struct BotAnswers(pub Listening);

/// One of these answers.
struct BotAnswer(Listening, Reply);

#[async_trait]
impl AnswerReader for BotAnswers {
    fn reads(&self, event_type: &str) -> bool {
        Listening::reads_answers_to(event_type)
    }

    async fn read(&self, event: EventId, answer: &[u8]) -> Result<Option<Box<dyn Answer>>, JobError> {
        let reply = self.0.reply(event, answer).await?;
        Ok(reply.map(|reply| Box::new(BotAnswer(self.0.clone(), reply)) as Box<dyn Answer>))
    }
}

#[async_trait]
impl Answer for BotAnswer {
    async fn keep(&self, conn: &mut Conn) -> Result<(), StoreError> {
        self.0.keep(conn, &self.1).await
    }
}
