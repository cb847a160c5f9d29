//! What the tests of this room share: a room over a database of its own, and an app that receives over a real socket.

mod answering;
mod app;
mod delivering;
mod erasing;
mod listing;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use domicile_kernel::{Clock, EventId, Ids, MailboxId, Secret, Timestamp, ZoomAccountId};
use domicile_leases::Workers;
use domicile_store::{Conn, NewEvent, Outbox, StoreError};
use domicile_testkit::clock::{SeededRng, TestClock, ids};
use domicile_testkit::db::TestDb;
use domicile_vault::{KeyScope, Place, RegionKeys, Vault};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::{Delivery, DeliverySettings, Destination, EventSecrets};
use app::App;

/// 32 zero bytes under the name `k1`.
const VAULT_KEYS: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const ACCOUNT: &str = "zoom-account";

struct Room {
    db: TestDb,
    clock: TestClock,
    ids: Ids,
    vault: Vault,
    delivery: Delivery,
}

/// The verifier of the `standardwebhooks` crate reads the real clock, so the tests begin at its time.
#[expect(
    clippy::disallowed_methods,
    reason = "a verifier that others wrote takes no clock"
)]
fn real_now() -> Timestamp {
    DateTime::from_timestamp(chrono::Utc::now().timestamp(), 0).unwrap()
}

impl Room {
    /// A room whose events go to this URL, or nowhere.
    async fn new(destination: Option<Url>) -> Self {
        let db = TestDb::create().await;
        let clock = TestClock::at(real_now());
        let ids = ids(&clock, &SeededRng::new(1));
        let keys = RegionKeys::parse(&Secret::from(VAULT_KEYS)).unwrap();
        let vault = Vault::new(db.db(), ids.clone(), keys);
        let settings = DeliverySettings {
            region: "eu".parse().unwrap(),
            destination: destination.map(|url| Destination {
                url,
                secrets: EventSecrets::new(&[Secret::from(SECRET)]).ok().unwrap(),
            }),
        };
        let egress = domicile_egress::testing::loopback();
        Self {
            delivery: Delivery::new(settings, db.db(), ids.clone(), vault.clone(), &egress),
            db,
            clock,
            ids,
            vault,
        }
    }

    fn workers(&self) -> Workers {
        Workers::builder(self.db.db(), self.ids.clone())
            .handler(self.delivery.handler(None).unwrap())
            .build()
    }

    /// An event with this note in its data, ready to be written.
    async fn event(&self, mailbox: MailboxId, subject: &str, note: &str) -> NewEvent {
        let scope = KeyScope::Account(ZoomAccountId::new(ACCOUNT));
        let key = self.vault.key(&scope).await.unwrap();
        let id: EventId = self.ids.make();
        let data = json!({"recording": {"note": note}}).to_string();
        NewEvent {
            id,
            mailbox,
            event_type: "recording.stored",
            version: 1,
            subject: Some(subject.parse().unwrap()),
            account: Some(ZoomAccountId::new(ACCOUNT)),
            occurred_at: self.clock.now(),
            data_sealed: key
                .seal(Place::new("events", "data_sealed", id), data.as_bytes())
                .unwrap(),
        }
    }

    async fn write(&self, mailbox: MailboxId, subject: &str, note: &str) -> EventId {
        self.write_event(self.event(mailbox, subject, note).await).await
    }

    async fn write_event(&self, event: NewEvent) -> EventId {
        let id = event.id;
        self.db
            .db()
            .run_tx("write", async |conn: &mut Conn| -> Result<(), StoreError> {
                self.delivery.write(conn, event.clone()).await
            })
            .await
            .unwrap();
        id
    }

    /// Status, attempts and time of delivery of each event, in sequence.
    async fn events(&self) -> Vec<(String, i32, Option<String>)> {
        let client = self.db.client().await;
        let rows = client
            .query(
                "SELECT status, attempts, delivered_at::text FROM events ORDER BY sequence",
                &[],
            )
            .await
            .unwrap();
        rows.iter()
            .map(|row| (row.get(0), row.get(1), row.get(2)))
            .collect()
    }

    /// Number, status code and error class of each attempt for an event.
    async fn attempts(&self, id: EventId) -> Vec<(i32, Option<i16>, Option<String>)> {
        let client = self.db.client().await;
        let rows = client
            .query(
                "SELECT attempt, status_code, error_class FROM delivery_attempts \
                 WHERE event_id::text = $1 ORDER BY attempt",
                &[&id.to_string()],
            )
            .await
            .unwrap();
        rows.iter()
            .map(|row| (row.get(0), row.get(1), row.get(2)))
            .collect()
    }

    /// Key and status of each job.
    async fn jobs(&self) -> Vec<(String, String)> {
        let client = self.db.client().await;
        let rows = client
            .query("SELECT key, status FROM jobs ORDER BY key", &[])
            .await
            .unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

fn mailbox(number: u128) -> MailboxId {
    MailboxId::from(Uuid::from_u128(number))
}

/// Longer than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it happens soon")
}
