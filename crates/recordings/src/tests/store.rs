//! An outbox that keeps events as `delivery` does: in the transaction that makes them true.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::EventId;
use domicile_store::schema::events;
use domicile_store::{Conn, NewEvent, Outbox, StoreError};
use tokio::sync::Notify;
use uuid::Uuid;

/// An outbox that, once it is gated, tells of each write and then waits, within the transaction.
#[derive(Default)]
pub(super) struct Told(Mutex<Option<(Arc<Notify>, Arc<Notify>)>>);

impl Told {
    /// From now on each write notifies the first and waits for the second.
    pub(super) fn gate(&self) -> (Arc<Notify>, Arc<Notify>) {
        let gate = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        *self.0.lock().unwrap() = Some((Arc::clone(&gate.0), Arc::clone(&gate.1)));
        gate
    }

    /// From now on nothing waits.
    pub(super) fn open(&self) {
        *self.0.lock().unwrap() = None;
    }
}

#[async_trait]
impl Outbox for Told {
    async fn write(&self, conn: &mut Conn, event: NewEvent) -> Result<(), StoreError> {
        let gate = self.0.lock().unwrap().clone();
        if let Some((reached, go_on)) = gate {
            reached.notify_one();
            go_on.notified().await;
        }
        diesel::insert_into(events::table)
            .values((
                events::id.eq(event.id.as_uuid()),
                events::mailbox.eq(event.mailbox.as_uuid()),
                events::type_.eq(event.event_type),
                events::version.eq(event.version),
                events::subject.eq(event.subject.as_ref().map(domicile_kernel::Subject::as_str)),
                events::occurred_at.eq(event.occurred_at),
                events::data_sealed.eq(event.data_sealed),
                events::status.eq("pending"),
                events::attempts.eq(0),
            ))
            .execute(conn)
            .await?;
        Ok(())
    }
}

/// Id, mailbox, type and sealed data of each event, in order.
pub(super) async fn told(conn: &mut Conn) -> Vec<(EventId, Uuid, String, Vec<u8>)> {
    let rows: Vec<(Uuid, Uuid, String, Vec<u8>)> = events::table
        .select((events::id, events::mailbox, events::type_, events::data_sealed))
        .filter(events::version.eq(1_i16))
        .order(events::sequence)
        .load(conn)
        .await
        .unwrap();
    rows.into_iter()
        .map(|(id, mailbox, event_type, data)| (id.into(), mailbox, event_type, data))
        .collect()
}
