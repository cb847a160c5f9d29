//! What another room brings, and the roof plugs in.

use async_trait::async_trait;
use domicile_kernel::EventId;
use domicile_leases::JobError;
use domicile_store::{Conn, StoreError};

/// Reads what the app answers a delivery with, where that means something: an event that the bot passed on may be answered
/// by what the bot is to say.
#[async_trait]
pub trait AnswerReader: Send + Sync {
    /// Whether answers to events of this type are read.
    fn reads(&self, event_type: &str) -> bool;

    /// Reads the body of a 2xx answer, outside any transaction; nothing where it asks for nothing. After an error the event
    /// counts as not delivered, so that the app is asked again.
    async fn read(&self, event: EventId, answer: &[u8]) -> Result<Option<Box<dyn Answer>>, JobError>;
}

/// An answer, ready to be kept.
#[async_trait]
pub trait Answer: Send + Sync {
    /// Keeps it in the transaction that marks the event as delivered, so that it counts once.
    async fn keep(&self, conn: &mut Conn) -> Result<(), StoreError>;
}
