//! What other rooms bring, and the roof plugs in.

use async_trait::async_trait;
use domicile_kernel::{InboxId, LinkId, Subject, ZoomAccountId, ZoomUserId};
use domicile_store::{Conn, StoreError};

use crate::endpoint::Endpoint;

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

/// An event of a Zoom account, whether or not one of its links is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountEvent {
    /// Its row; the body is read with [`Intake::body`](crate::Intake::body), later and outside the transaction.
    pub inbox_id: InboxId,
    /// Where it was taken in.
    pub endpoint: Endpoint,
    /// Zoom's name for it.
    pub event_type: String,
    /// The account that it names.
    pub zoom_account_id: ZoomAccountId,
    /// The user whom it belongs to, where it names one.
    pub zoom_user_id: Option<ZoomUserId>,
    /// The trace to go on with (W3C Trace Context).
    pub traceparent: Option<String>,
}

/// Takes events that need no link, such as what is said to the bot: who speaks may not be linked yet.
#[async_trait]
pub trait AccountEventHandler: Send + Sync {
    /// Zoom's names of the events that it takes at either endpoint. They may label metrics.
    fn event_types(&self) -> &[&str];

    /// The endpoint of which it takes whatever comes, also events of names that nobody knows yet.
    fn endpoint(&self) -> Option<Endpoint>;

    /// Takes one event, under the same rules as [`EventHandler::take`].
    async fn take(&self, conn: &mut Conn, event: &AccountEvent) -> Result<(), StoreError>;
}
