//! Where rooms meet that never import each other: each plug lends one room's service to another's port.

pub mod bot;

use async_trait::async_trait;
use bytes::Bytes;
use domicile_delivery::Delivery;
use domicile_intake::{EventHandler, Intake, LinkRouter, RoutedEvent, RoutedLink};
use domicile_kernel::{Ids, InboxId, LinkId, Secret, ZoomAccountId, ZoomUserId};
use domicile_leases::JobError;
use domicile_linking::{EndedLink, Erasure, LinkEraser, Linking, LinkingError};
use domicile_objects::AwsSigner;
use domicile_recordings::{AccessTokens, Erased, InboxBodies, RecordingsEraser};
use domicile_store::{Conn, StoreError};
use domicile_vault::RequestSigner;
use domicile_zoom::host::ApiBase;
use http::Request;

/// Intake asks linking whose an event is.
pub struct LinksRouter;

#[async_trait]
impl LinkRouter for LinksRouter {
    async fn route(
        &self,
        conn: &mut Conn,
        account: &ZoomAccountId,
        user: Option<&ZoomUserId>,
    ) -> Result<Option<RoutedLink>, StoreError> {
        let link = Linking::route(conn, account, user).await?;
        Ok(link.map(|link| RoutedLink {
            link_id: link.id,
            subject: link.subject,
        }))
    }
}

/// Intake hands recording events to recordings.
pub struct RecordingEvents {
    /// Makes the ids of the jobs.
    pub ids: Ids,
}

#[async_trait]
impl EventHandler for RecordingEvents {
    fn event_types(&self) -> &[&str] {
        &["recording.completed", "recording.transcript_completed"]
    }

    async fn take(&self, conn: &mut Conn, event: &RoutedEvent) -> Result<(), StoreError> {
        let traceparent = event.traceparent.as_deref();
        domicile_recordings::take(conn, &self.ids, event.inbox_id, event.link_id, traceparent).await
    }
}

/// Recordings reads bodies that intake keeps.
pub struct KeptBodies(pub Intake);

#[async_trait]
impl InboxBodies for KeptBodies {
    async fn body(&self, inbox_id: InboxId) -> Result<Secret<Vec<u8>>, JobError> {
        self.0
            .body(inbox_id)
            .await
            .map_err(|error| JobError::new("inbox_body", error.fate(), error))
    }
}

/// Recordings uses the tokens that linking keeps fresh.
pub struct LinkTokens(pub Linking);

#[async_trait]
impl AccessTokens for LinkTokens {
    async fn access_token(&self, link: LinkId) -> Result<(Secret<String>, ApiBase), JobError> {
        let token = self.0.access_token(link).await.map_err(|error| match error {
            // The user may authorize again at any time, so the job waits as long as it may.
            error @ LinkingError::NeedsReauthorization(_) => JobError::retry("needs_reauthorization", error),
            error => JobError::new("access_token", error.fate(), error),
        })?;
        Ok((token.token, token.base))
    }
}

/// Linking has recordings erase what they keep of a link.
pub struct ErasedRecordings(pub RecordingsEraser);

#[async_trait]
impl LinkEraser for ErasedRecordings {
    async fn erase(&self, link: &EndedLink) -> Result<Erasure, JobError> {
        Ok(match self.0.erase(link.id, link.ended_at).await? {
            Erased::All => Erasure::Done,
            Erased::AllBut { until } => Erasure::NotBefore(until),
        })
    }
}

/// Linking has delivery erase what the app was told of a link before it ended.
pub struct ErasedEvents(pub Delivery);

#[async_trait]
impl LinkEraser for ErasedEvents {
    async fn erase(&self, link: &EndedLink) -> Result<Erasure, JobError> {
        self.0
            .erase_before(link.id.into(), &link.subject, "link.revoked")
            .await?;
        // What users say to the bot is told in mailboxes of their own.
        let said = domicile_chatbot::listening::mailbox(&link.zoom_account_id, link.zoom_user_id.as_ref());
        self.0
            .erase_said(said, link.id.into(), &link.subject, link.ended_at)
            .await?;
        Ok(Erasure::Done)
    }
}

/// The vault calls AWS KMS with the credentials of the object storage.
pub struct AwsRequests(pub AwsSigner);

#[async_trait]
impl RequestSigner for AwsRequests {
    async fn sign(
        &self,
        service: &str,
        region: &str,
        request: Request<Bytes>,
    ) -> Result<Request<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.sign(service, region, request).await?)
    }
}
