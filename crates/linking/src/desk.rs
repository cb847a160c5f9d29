//! Links as their operators see them, with how their grants do. No token is opened.

use domicile_kernel::state::{GrantState, LinkStatus, ReauthorizationReason};
use domicile_kernel::{LinkId, Subject, Timestamp, ZoomAccountId, ZoomUserId};
use domicile_store::{Db, StoreError};
use serde::Serialize;

use crate::link::Link;
use crate::store;

/// The operators' view of links. Cheap to clone.
#[derive(Clone)]
pub struct LinksDesk {
    db: Db,
}

/// Which links are meant; every criterion that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct LinkSelection {
    /// Whether its grant works.
    pub status: Option<LinkStatus>,
    /// Why not.
    pub reason: Option<ReauthorizationReason>,
    /// Whom the app linked.
    pub subject: Option<Subject>,
    /// The Zoom account.
    pub zoom_account_id: Option<ZoomAccountId>,
    /// The Zoom user.
    pub zoom_user_id: Option<ZoomUserId>,
    /// Changed before this time.
    pub updated_before: Option<Timestamp>,
}

/// How a grant does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantEntry {
    /// What is known of its refresh token.
    pub state: GrantState,
    /// Counts the rotations.
    pub generation: i64,
    /// When its tokens were received.
    pub refreshed_at: Timestamp,
    /// When the access token ends.
    pub access_expires_at: Timestamp,
    /// How many refreshes failed since one succeeded.
    pub refresh_failures: u32,
    /// Zoom is not asked before this.
    pub not_before: Option<Timestamp>,
    /// When a token of it was last handed out for the first time.
    pub last_used_at: Option<Timestamp>,
    /// The API host that it is for.
    pub api_url: String,
}

impl LinksDesk {
    /// The links in this database.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// The newest links of a selection, at most so many, after the one with this id.
    pub async fn list(
        &self,
        selection: &LinkSelection,
        after: Option<LinkId>,
        limit: i64,
    ) -> Result<Vec<Link>, StoreError> {
        store::links::selected(&mut *self.db.conn().await?, selection, after, limit).await
    }

    /// One link with its grant, which a revoked link has no more.
    pub async fn show(&self, id: LinkId) -> Result<Option<(Link, Option<GrantEntry>)>, StoreError> {
        let mut conn = self.db.conn().await?;
        let Some(link) = store::links::by_id(&mut conn, id).await? else {
            return Ok(None);
        };
        let grant = store::grants::get(&mut conn, id).await?.map(|grant| GrantEntry {
            state: grant.state,
            generation: grant.generation,
            refreshed_at: grant.refreshed_at,
            access_expires_at: grant.tokens.access_expires_at,
            refresh_failures: grant.failures,
            not_before: grant.not_before,
            last_used_at: grant.last_used_at,
            api_url: grant.tokens.api_url,
        });
        Ok(Some((link, grant)))
    }
}
