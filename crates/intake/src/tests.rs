//! What the tests of this room share: a room over a database of its own, a router and a handler that they command.

mod dispatching;
mod keeping;
mod operating;
mod receiving;
mod telling;
mod writing;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::test::TestRequest;
use actix_web::{FromRequest, web};
use async_trait::async_trait;
use domicile_kernel::{Clock, Ids, InboxId, LinkId, Secret, Subject, ZoomAccountId, ZoomUserId};
use domicile_leases::{JobKind, NewJob, enqueue};
use domicile_store::{Conn, StoreError};
use domicile_testkit::clock::{SeededRng, TestClock, ids};
use domicile_testkit::db::TestDb;
use domicile_vault::{RegionKeys, Vault};
use domicile_web::extract::{VerifiedZoomRequest, ZoomEndpointVerifier};
use domicile_zoom::signature::{REQUEST_ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookSecrets, sign};
use serde_json::json;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    Dispatcher, Endpoint, EventHandler, Intake, IntakeSettings, Kept, LinkRouter, QuarantineReason,
    RoutedEvent, RoutedLink,
};

/// 32 zero bytes under the name `k1`.
const VAULT_KEYS: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const WEBHOOK_SECRET: &str = "webhook-secret";
/// The kind of the jobs with which the test's handler leaves a trace in the database.
const TRACE: JobKind = JobKind("test.trace");

struct Room {
    db: TestDb,
    clock: TestClock,
    ids: Ids,
    vault: Vault,
    intake: Intake,
    links: Arc<Links>,
}

impl Room {
    async fn new() -> Self {
        let db = TestDb::create().await;
        let clock = TestClock::new();
        let ids = ids(&clock, &SeededRng::new(1));
        let keys = RegionKeys::parse(&Secret::from(VAULT_KEYS)).unwrap();
        let vault = Vault::new(db.db(), ids.clone(), keys);
        Self {
            intake: Intake::new(IntakeSettings::default(), db.db(), ids.clone(), vault.clone()),
            vault,
            links: Arc::default(),
            db,
            clock,
            ids,
        }
    }

    fn dispatcher(&self, handler: &Arc<Recorder>) -> Dispatcher {
        Dispatcher::builder(self.db.db(), self.ids.clone(), self.links.clone())
            .handler(handler.clone())
            .build()
    }

    /// The same inbox with little patience for the database.
    fn impatient(&self) -> Intake {
        let settings = IntakeSettings {
            commit_timeout: Duration::from_millis(200),
            ..IntakeSettings::default()
        };
        Intake::new(settings, self.db.db(), self.ids.clone(), self.vault.clone())
    }

    fn verifier(&self, endpoint: Endpoint) -> web::Data<ZoomEndpointVerifier> {
        let secrets = WebhookSecrets::new(&[Secret::from(WEBHOOK_SECRET)]).unwrap();
        web::Data::new(ZoomEndpointVerifier::new(
            endpoint.as_str(),
            secrets,
            self.clock.port(),
        ))
    }

    /// A request of Zoom's with this body, signed now.
    fn signed(&self, body: &[u8]) -> TestRequest {
        let timestamp = self.clock.now().timestamp();
        TestRequest::post()
            .insert_header((TIMESTAMP_HEADER, timestamp.to_string()))
            .insert_header((
                SIGNATURE_HEADER,
                sign(&Secret::from(WEBHOOK_SECRET), timestamp, body),
            ))
            .set_payload(body.to_vec())
    }

    /// The same, verified; only verified requests can be kept.
    async fn arrival(&self, body: &[u8], request_id: Option<&str>) -> VerifiedZoomRequest {
        let mut request = self.signed(body).app_data(self.verifier(Endpoint::Events));
        if let Some(request_id) = request_id {
            request = request.insert_header((REQUEST_ID_HEADER, request_id));
        }
        let (request, mut payload) = request.to_http_parts();
        VerifiedZoomRequest::from_request(&request, &mut payload)
            .await
            .unwrap()
    }

    /// Keeps a body, a moment after the one before, and returns its row, which is the newest.
    async fn keep(&self, body: impl AsRef<[u8]>) -> InboxId {
        self.clock.advance(Duration::from_millis(1));
        let request = self.arrival(body.as_ref(), None).await;
        assert_eq!(
            self.intake.keep(Endpoint::Events, &request).await.unwrap(),
            Kept::New
        );
        let client = self.db.client().await;
        let row = client
            .query_one("SELECT id::text FROM inbox ORDER BY id DESC LIMIT 1", &[])
            .await
            .unwrap();
        row.get::<_, String>(0).parse().unwrap()
    }

    /// Every row, whole, in the order of its arrival.
    async fn rows(&self) -> Vec<String> {
        let client = self.db.client().await;
        let rows = client
            .query("SELECT inbox::text FROM inbox ORDER BY id", &[])
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    async fn state(&self, id: InboxId) -> State {
        let client = self.db.client().await;
        let row = client
            .query_one(
                "SELECT status, reason, attempts, finished_at IS NOT NULL FROM inbox WHERE id::text = $1",
                &[&id.to_string()],
            )
            .await
            .unwrap();
        State {
            status: row.get(0),
            reason: row.get(1),
            attempts: row.get(2),
            finished: row.get(3),
        }
    }

    /// The keys of the jobs that handlers asked for.
    async fn traces(&self) -> Vec<String> {
        let client = self.db.client().await;
        let rows = client
            .query("SELECT key FROM jobs WHERE kind = $1 ORDER BY key", &[&TRACE.0])
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

#[derive(Debug, PartialEq, Eq)]
struct State {
    status: String,
    reason: Option<String>,
    attempts: i16,
    finished: bool,
}

impl State {
    fn pending(attempts: i16) -> Self {
        Self {
            status: "pending".to_owned(),
            reason: (attempts > 0).then(|| "handler_failed".to_owned()),
            attempts,
            finished: false,
        }
    }

    fn dispatched(attempts: i16) -> Self {
        Self {
            status: "dispatched".to_owned(),
            reason: None,
            attempts,
            finished: true,
        }
    }

    fn quarantined(reason: QuarantineReason, attempts: i16) -> Self {
        Self {
            status: "quarantined".to_owned(),
            reason: Some(reason.as_str().to_owned()),
            attempts,
            finished: true,
        }
    }
}

/// A `recording.completed` of this account and host; `note` makes the body another one.
fn recording(account: &str, host: &str, note: &str) -> String {
    json!({
        "event": "recording.completed",
        "event_ts": 1_780_315_000_000_i64,
        "payload": {"account_id": account, "object": {"host_id": host, "topic": note}},
    })
    .to_string()
}

/// Links that the test makes, by exact user or by exact account.
#[derive(Default)]
struct Links(Mutex<HashMap<(String, Option<String>), RoutedLink>>);

impl Links {
    fn add(&self, account: &str, user: Option<&str>, subject: &str) -> LinkId {
        let mut links = self.0.lock().unwrap();
        let link_id = LinkId::from(Uuid::from_u128(links.len() as u128 + 1));
        let link = RoutedLink {
            link_id,
            subject: subject.parse::<Subject>().unwrap(),
        };
        links.insert((account.to_owned(), user.map(str::to_owned)), link);
        link_id
    }
}

#[async_trait]
impl LinkRouter for Links {
    async fn route(
        &self,
        _conn: &mut Conn,
        account: &ZoomAccountId,
        user: Option<&ZoomUserId>,
    ) -> Result<Option<RoutedLink>, StoreError> {
        let links = self.0.lock().unwrap();
        let find = |user: Option<&ZoomUserId>| {
            links.get(&(
                account.as_str().to_owned(),
                user.map(|user| user.as_str().to_owned()),
            ))
        };
        Ok(find(user).or_else(|| find(None)).cloned())
    }
}

/// How the handler treats an event.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Mood {
    /// Takes it.
    #[default]
    Good,
    /// Leaves its trace, then fails.
    Fails,
    /// Makes PostgreSQL end the transaction.
    Aborts,
    /// Panics.
    Panics,
    /// Leaves its trace, says that it began, and goes on when it may.
    Waits,
}

/// A handler that writes a trace and remembers what it took.
struct Recorder {
    ids: Ids,
    name: &'static str,
    usual: Mutex<Mood>,
    moods: Mutex<HashMap<InboxId, Mood>>,
    taken: Mutex<Vec<RoutedEvent>>,
    began: Notify,
    go_on: Notify,
}

impl Recorder {
    fn new(room: &Room) -> Arc<Self> {
        Self::named(room, "")
    }

    fn named(room: &Room, name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            ids: room.ids.clone(),
            name,
            usual: Mutex::default(),
            moods: Mutex::default(),
            taken: Mutex::default(),
            began: Notify::new(),
            go_on: Notify::new(),
        })
    }

    fn mood(&self, id: InboxId, mood: Mood) {
        self.moods.lock().unwrap().insert(id, mood);
    }

    /// Which link took which event, as often as the handler was called without failing.
    fn taken(&self) -> Vec<(InboxId, LinkId)> {
        let taken = self.taken.lock().unwrap();
        taken
            .iter()
            .map(|event| (event.inbox_id, event.link_id))
            .collect()
    }

    fn taken_ids(&self) -> HashSet<InboxId> {
        self.taken().into_iter().map(|(id, _)| id).collect()
    }

    async fn trace(&self, conn: &mut Conn, key: &str) -> Result<(), StoreError> {
        let job = NewJob {
            kind: TRACE,
            key,
            lane: None,
            due_at: self.ids.clock().now(),
            traceparent: None,
        };
        enqueue(conn, &self.ids, job).await
    }
}

#[async_trait]
impl EventHandler for Recorder {
    fn event_types(&self) -> &[&str] {
        &["recording.completed", "recording.transcript_completed"]
    }

    async fn take(&self, conn: &mut Conn, event: &RoutedEvent) -> Result<(), StoreError> {
        let mood = self.moods.lock().unwrap().get(&event.inbox_id).copied();
        let mood = mood.unwrap_or(*self.usual.lock().unwrap());
        self.trace(conn, &format!("{}{}", self.name, event.inbox_id))
            .await?;
        match mood {
            Mood::Good => {}
            Mood::Fails => return Err(StoreError::NotFound),
            // PostgreSQL takes no NUL in a text.
            Mood::Aborts => self.trace(conn, "\0").await?,
            Mood::Panics => panic!("a handler that panics"),
            Mood::Waits => {
                self.began.notify_one();
                self.go_on.notified().await;
                self.trace(conn, "went on").await?;
            }
        }
        self.taken.lock().unwrap().push(event.clone());
        Ok(())
    }
}

/// Longer than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it happens soon")
}
