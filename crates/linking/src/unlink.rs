//! The end of a link: work stops at once, the grant ends at Zoom, what was kept is erased.
//!
//! One transaction ends the link, tells the app and asks for two jobs: one erases, the other revokes the grant at Zoom.
//! Neither waits for the other, so what is kept here goes away while Zoom is out of reach.

use async_trait::async_trait;
use domicile_kernel::state::{LinkStatus, RevocationReason, TextState};
use domicile_kernel::{LinkId, Subject, Timestamp, ZoomAccountId, ZoomUserId};
use domicile_leases::{JobError, NewJob, enqueue};
use domicile_store::Conn;
use domicile_store::audit::{Actor, AuditEntry};
use domicile_vault::{DataKey, KeyScope};
use serde_json::json;
use tracing::info;

use crate::error::LinkingError;
use crate::jobs::{GRANT_REVOKE, LINK_UNLINK};
use crate::link::Link;
use crate::linking::Linking;
use crate::metrics::METRICS;
use crate::store;

/// A room that keeps something of links; the roof lists them all.
#[async_trait]
pub trait LinkEraser: Send + Sync {
    /// Erases what it keeps of a link that has ended. It is asked again until it is done, so it must not mind when
    /// everything, or some of it, is gone already.
    async fn erase(&self, link: &EndedLink) -> Result<Erasure, JobError>;
}

/// A link that has ended.
#[derive(Debug, Clone)]
pub struct EndedLink {
    /// Its id.
    pub id: LinkId,
    /// Whom it linked.
    pub subject: Subject,
    /// The account under whose key its data is sealed.
    pub zoom_account_id: ZoomAccountId,
    /// The user at Zoom; none where the link was to the whole account.
    pub zoom_user_id: Option<ZoomUserId>,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// How far an erasure has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erasure {
    /// Nothing is left.
    Done,
    /// Something can be gone for sure only after this.
    NotBefore(Timestamp),
}

/// What becomes of the grant at Zoom when its link ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtZoom {
    /// It is revoked.
    Revoke,
    /// It is left alone, because a new grant of the same Zoom user has ended it: to revoke one ends them all.
    Leave,
}

/// How and why a link ends.
#[derive(Debug, Clone)]
pub struct Ending {
    /// Why.
    pub reason: RevocationReason,
    /// What becomes of its grant.
    pub at_zoom: AtZoom,
    /// Who ended it.
    pub actor: Actor,
}

impl Linking {
    /// Ends a link for the app. One that has ended already stays as it is.
    pub async fn unlink(&self, id: LinkId, actor: Actor) -> Result<(), LinkingError> {
        let key = self.ending_key().await?;
        let ending = Ending {
            reason: RevocationReason::Unlinked,
            at_zoom: AtZoom::Revoke,
            actor,
        };
        let now = self.now();
        self.parts
            .db
            .run_tx("unlink", async |conn: &mut Conn| -> Result<(), LinkingError> {
                let link = store::links::lock(conn, id)
                    .await?
                    .ok_or(LinkingError::UnknownLink)?;
                if link.status != LinkStatus::Revoked {
                    self.end_link(conn, &key, link, &ending, now).await?;
                }
                Ok(())
            })
            .await
    }

    /// The key for [`Linking::end_link`]: the region's, because the account's may be destroyed before the app is told.
    pub(crate) async fn ending_key(&self) -> Result<DataKey, LinkingError> {
        Ok(self.parts.vault.key(&KeyScope::Region).await?)
    }

    /// Ends a link that this transaction has locked and that has not ended.
    pub(crate) async fn end_link(
        &self,
        conn: &mut Conn,
        key: &DataKey,
        link: Link,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<Link, LinkingError> {
        let parts = &self.parts;
        let link = link.revoke(now)?;
        store::links::revoke(conn, &link).await?;
        let reason = ending.reason.as_str();
        AuditEntry::done(ending.actor.clone(), "link.revoke")
            .because(reason)
            .subject(&link.subject)
            .link(link.id)
            .zoom(&link.zoom_account_id, link.zoom_user_id.as_ref())
            .write(conn, &parts.ids)
            .await?;
        let data = json!({ "link": link.view(), "reason": reason });
        let event = self.event_with(key, "link.revoked", &link, &data, now)?;
        parts.outbox.write(conn, event).await?;
        let key = link.id.to_string();
        let job = |kind| NewJob {
            kind,
            key: &key,
            lane: None,
            due_at: now,
            traceparent: None,
        };
        match ending.at_zoom {
            AtZoom::Revoke => enqueue(conn, &parts.ids, job(GRANT_REVOKE)).await?,
            AtZoom::Leave => store::grants::delete(conn, link.id).await?,
        }
        enqueue(conn, &parts.ids, job(LINK_UNLINK)).await?;
        METRICS.link_ended(reason);
        info!(link.id = %link.id, reason, "a link has ended");
        Ok(link)
    }
}

impl From<&Link> for EndedLink {
    fn from(link: &Link) -> Self {
        Self {
            id: link.id,
            subject: link.subject.clone(),
            zoom_account_id: link.zoom_account_id.clone(),
            zoom_user_id: link.zoom_user_id.clone(),
            // Nothing changes a link after its end.
            ended_at: link.updated_at,
        }
    }
}
