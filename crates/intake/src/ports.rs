//! What other rooms bring, and the roof plugs in.

use async_trait::async_trait;
use domicile_kernel::{InboxId, LinkId, Subject, ZoomAccountId, ZoomUserId};
use domicile_store::{Conn, StoreError};

/// The link that an event belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedLink {
    /// The link.
    pub link_id: LinkId,
    /// Whom the app linked.
    pub subject: Subject,
}

/// Finds whose an event is.
#[async_trait]
pub trait LinkRouter: Send + Sync {
    /// The one live link to exactly this Zoom user, else the one to exactly this Zoom account as a whole, else none
    /// (INV-7). It runs in the transaction that dispatches the event, so it only reads rows.
    async fn route(
        &self,
        conn: &mut Conn,
        account: &ZoomAccountId,
        user: Option<&ZoomUserId>,
    ) -> Result<Option<RoutedLink>, StoreError>;
}

/// An event that has found its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedEvent {
    /// Its row; the body is read with [`Intake::body`](crate::Intake::body), later and outside the transaction.
    pub inbox_id: InboxId,
    /// Zoom's name for it.
    pub event_type: String,
    /// The link that it belongs to.
    pub link_id: LinkId,
    /// Whom the app linked.
    pub subject: Subject,
    /// The account that it names.
    pub zoom_account_id: ZoomAccountId,
    /// The trace to go on with (W3C Trace Context).
    pub traceparent: Option<String>,
}

/// Takes events of some types.
#[async_trait]
pub trait EventHandler: Send + Sync {
    /// Zoom's names of the events that it takes.
    fn event_types(&self) -> &[&str];

    /// Takes one event, as part of the transaction that marks it as dispatched: mostly by asking for a job. It makes no
    /// network call (INV-4), and what it does may be undone and done again.
    async fn take(&self, conn: &mut Conn, event: &RoutedEvent) -> Result<(), StoreError>;
}
