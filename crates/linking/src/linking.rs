//! The room's services, shared by routes and jobs.

use std::sync::Arc;

use domicile_kernel::{EventId, Ids, LinkId, Subject, Timestamp, ZoomAccountId, ZoomUserId};
use domicile_store::audit::{self, AuditQuery, WrittenEntry};
use domicile_store::{Conn, Db, NewEvent, Outbox, StoreError};
use domicile_vault::{DataKey, Place, Vault, VaultError};
use domicile_zoom::api::ZoomApi;
use domicile_zoom::host::ApiBase;
use domicile_zoom::oauth::ZoomOAuth;
use serde_json::Value;
use tokio_util::task::TaskTracker;

use crate::error::LinkingError;
use crate::identity::Identity;
use crate::link::Link;
use crate::settings::LinkingSettings;
use crate::store;
use crate::stray::StrayBudget;

/// What linking is built from.
pub struct LinkingParts {
    /// The database.
    pub db: Db,
    /// Ids, clock and randomness.
    pub ids: Ids,
    /// Seals tokens and codes.
    pub vault: Vault,
    /// The region's Marketplace app.
    pub oauth: ZoomOAuth,
    /// Zoom's API.
    pub api: ZoomApi,
    /// The base for API calls where the token answer names none.
    pub default_api_base: ApiBase,
    /// Where events go.
    pub outbox: Arc<dyn Outbox>,
    /// How the finisher of a connect session is known.
    pub identity: Identity,
    /// The region's settings.
    pub settings: LinkingSettings,
}

/// Connect sessions, links and their grants.
#[derive(Clone)]
pub struct Linking {
    pub(crate) parts: Arc<LinkingParts>,
    pub(crate) stray: Arc<StrayBudget>,
    /// The calls that spend a token, so that a stop can wait for them.
    pub(crate) refreshers: TaskTracker,
}

impl Linking {
    /// Takes its parts in.
    pub fn new(parts: LinkingParts) -> Self {
        Self {
            parts: Arc::new(parts),
            stray: Arc::default(),
            refreshers: TaskTracker::new(),
        }
    }

    /// The region's settings.
    pub fn settings(&self) -> &LinkingSettings {
        &self.parts.settings
    }

    /// How the finisher of a connect session is known.
    pub fn identity(&self) -> &Identity {
        &self.parts.identity
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.parts.ids.clock().now()
    }

    /// One link.
    pub async fn link(&self, id: LinkId) -> Result<Option<Link>, LinkingError> {
        Ok(store::links::by_id(&mut *self.parts.db.conn().await?, id).await?)
    }

    /// The links of a subject or of all, newest first; `before` is the last id of the page before.
    pub async fn links(
        &self,
        subject: Option<&Subject>,
        before: Option<LinkId>,
        limit: i64,
    ) -> Result<Vec<Link>, LinkingError> {
        Ok(store::links::list(&mut *self.parts.db.conn().await?, subject, before, limit).await?)
    }

    /// What was done to links and what was refused, newest first.
    pub async fn audit_entries(
        &self,
        query: &AuditQuery,
        limit: i64,
    ) -> Result<Vec<WrittenEntry>, LinkingError> {
        Ok(audit::list(&mut *self.parts.db.conn().await?, query, limit).await?)
    }

    /// The link that an event of this account and user belongs to: exactly the user's, else exactly the account's (INV-7).
    pub async fn route(
        conn: &mut Conn,
        account: &ZoomAccountId,
        user: Option<&ZoomUserId>,
    ) -> Result<Option<Link>, StoreError> {
        store::links::route(conn, account, user).await
    }

    /// The link of a subject that has not ended.
    pub async fn live_by_subject(conn: &mut Conn, subject: &Subject) -> Result<Option<Link>, StoreError> {
        store::links::live_by_subject(conn, subject).await
    }

    /// The Zoom account of all links that have not ended, if they have the same one.
    pub async fn sole_account(conn: &mut Conn) -> Result<Option<ZoomAccountId>, StoreError> {
        store::links::sole_account(conn).await
    }

    /// An event about a link, sealed and ready to be written.
    pub(crate) fn event(
        &self,
        key: &DataKey,
        event_type: &'static str,
        link: &Link,
        now: Timestamp,
    ) -> Result<NewEvent, VaultError> {
        self.event_with(key, event_type, link, &link.event_data(), now)
    }

    /// The same with data of its own.
    pub(crate) fn event_with(
        &self,
        key: &DataKey,
        event_type: &'static str,
        link: &Link,
        data: &Value,
        now: Timestamp,
    ) -> Result<NewEvent, VaultError> {
        let id: EventId = self.parts.ids.make();
        let data = data.to_string();
        Ok(NewEvent {
            id,
            mailbox: link.id.into(),
            event_type,
            version: 1,
            subject: Some(link.subject.clone()),
            account: Some(link.zoom_account_id.clone()),
            occurred_at: now,
            data_sealed: key.seal(Place::new("events", "data_sealed", id), data.as_bytes())?,
        })
    }
}
