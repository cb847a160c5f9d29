//! Writing down whom the process has talked to.

use std::time::Duration;

use domicile_egress::{Contacts, RefusedReason};
use domicile_kernel::Ids;
use domicile_store::audit::{Actor, AuditEntry};
use domicile_store::{Conn, Db, StoreError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::store;

/// How often the counts are written down.
const INTERVAL: Duration = Duration::from_mins(1);

/// Writes the counts of the fences down. Cheap to clone.
#[derive(Clone)]
pub struct Contactbook {
    db: Db,
    ids: Ids,
    contacts: Vec<Contacts>,
}

impl Contactbook {
    /// For these fences.
    pub fn new(db: Db, ids: Ids, contacts: Vec<Contacts>) -> Self {
        Self { db, ids, contacts }
    }

    /// The same, and these too.
    #[must_use]
    pub fn and(mut self, contacts: Option<Contacts>) -> Self {
        self.contacts.extend(contacts);
        self
    }

    /// Writes once a minute until `stop`. Call [`Contactbook::write`] once more after the last call that the process makes.
    pub async fn run(self, stop: CancellationToken) {
        while timeout(INTERVAL, stop.cancelled()).await.is_err() {
            self.write().await;
        }
    }

    /// Writes down what was counted since the last time. What cannot be written is kept for the next time.
    pub async fn write(&self) {
        for contacts in &self.contacts {
            if let Err(error) = self.write_from(contacts).await {
                warn!(%error, "whom the process talked to could not be written down; it is kept for the next time");
            }
        }
    }

    async fn write_from(&self, contacts: &Contacts) -> Result<(), StoreError> {
        let (made, refused) = contacts.collect();
        if made.is_empty() && refused.is_empty() {
            return Ok(());
        }
        let (now, ids) = (self.ids.clock().now(), &self.ids);
        let written = self
            .db
            .run_tx(
                "write_contacts",
                async |conn: &mut Conn| -> Result<(), StoreError> {
                    store::add(conn, now, &made, &refused).await?;
                    for refusals in &refused {
                        // The entry holds ids alone; the host stands in the table beside it.
                        if let Some(reason) = RefusedReason::ALL
                            .iter()
                            .map(|reason| reason.as_str())
                            .find(|reason| *reason == refusals.reason)
                        {
                            AuditEntry::refused(Actor::Service, "egress.call", reason)
                                .write(conn, ids)
                                .await?;
                        }
                    }
                    Ok(())
                },
            )
            .await;
        if written.is_err() {
            contacts.put_back(made, refused);
        }
        written
    }
}
