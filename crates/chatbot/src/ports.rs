//! What this room needs of others; the roof plugs it in.

use async_trait::async_trait;
use domicile_kernel::{LinkId, Subject, ZoomAccountId, ZoomUserId};
use domicile_store::{Conn, StoreError};

/// Whom a subject's link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedUser {
    /// The link.
    pub link_id: LinkId,
    /// Its account.
    pub account: ZoomAccountId,
    /// Its user; none where the link is to the whole account.
    pub user: Option<ZoomUserId>,
}

/// Finds Zoom users by the app's subjects.
#[async_trait]
pub trait Links: Send + Sync {
    /// The link of a subject that has not ended.
    async fn by_subject(&self, conn: &mut Conn, subject: &Subject) -> Result<Option<LinkedUser>, StoreError>;

    /// The one Zoom account that has links here; none where there are several or none at all.
    async fn sole_account(&self, conn: &mut Conn) -> Result<Option<ZoomAccountId>, StoreError>;
}
