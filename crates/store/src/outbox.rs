//! The port through which rooms tell the app something; the roof plugs `delivery` in.

use async_trait::async_trait;
use domicile_kernel::{EventId, MailboxId, Subject, Timestamp, ZoomAccountId};

use crate::db::Conn;
use crate::error::StoreError;

/// An event, ready to be written. Its data is sealed by the room that knows it, bound to `events.data_sealed` and the id.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The id, also the row that the sealed data is bound to.
    pub id: EventId,
    /// The mailbox: its events are delivered in order. A link has one, a connect session that came
    /// to no link, and a Zoom user who speaks to the bot.
    pub mailbox: MailboxId,
    /// Such as `recording.stored`.
    pub event_type: &'static str,
    /// The version of the shape of the data.
    pub version: i16,
    /// Whom it is about; none where an unlinked Zoom user spoke to the bot.
    pub subject: Option<Subject>,
    /// Whose it is, where that is known: an account for which the app is slow delays no other.
    pub account: Option<ZoomAccountId>,
    /// When it became true.
    pub occurred_at: Timestamp,
    /// The JSON of `data`, sealed.
    pub data_sealed: Vec<u8>,
}

/// Writes events in the transaction that makes them true.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Writes the event and asks for its delivery, as part of the caller's transaction.
    async fn write(&self, conn: &mut Conn, event: NewEvent) -> Result<(), StoreError>;
}
