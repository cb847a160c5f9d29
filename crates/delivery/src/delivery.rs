//! The room as others see it: the outbox that they write to, and the events that can be read again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use domicile_egress::{Client, Egress, EgressError, Timeouts, retry_after};
use domicile_kernel::{EventId, Ids, MailboxId, Subject, Timestamp, ZoomAccountId};
use domicile_leases::{Handler, NewJob, enqueue};
use domicile_store::{Conn, Db, NewEvent, Outbox, StoreError};
use domicile_vault::{Place, Vault, VaultError};
use http::header::CONTENT_TYPE;
use http::{HeaderName, Request};
use serde_json::value::RawValue;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::document::document;
use crate::error::DeliveryError;
use crate::jobs::{KIND, Mailboxes};
use crate::metrics::{DELIVERED, METRICS};
use crate::ports::AnswerReader;
use crate::settings::{DeliverySettings, Destination};
use crate::store::{self, Attempt, StoredEvent};

/// How long the app may take.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(15),
    total: Some(Duration::from_secs(15)),
};
/// So much of an answer is read, also where it says nothing to us: unread, the connection could not be used again.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How often depth and age are measured.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(15);

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Tells the app what became true. Cheap to clone.
#[derive(Clone)]
pub struct Delivery {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    settings: DeliverySettings,
    pub(crate) db: Db,
    pub(crate) ids: Ids,
    vault: Vault,
    client: Client,
}

/// What came of one post.
pub(crate) struct Posted {
    pub(crate) attempt: Attempt,
    /// What a 2xx answer says, where that was asked for.
    pub(crate) answer: Option<Bytes>,
    /// Nothing: the app answered 2xx. Else why it counts as failed, and the least wait that the app asked for.
    pub(crate) failure: Option<(DeliveryError, Option<Duration>)>,
}

impl Delivery {
    /// The room over this database, with one client of this egress for the app.
    pub fn new(settings: DeliverySettings, db: Db, ids: Ids, vault: Vault, egress: &Egress) -> Self {
        METRICS.start_at_zero();
        Self {
            inner: Arc::new(Inner {
                settings,
                db,
                ids,
                vault,
                client: egress.client("app_events", TIMEOUTS).with_trace_propagation(),
            }),
        }
    }

    /// Whether events are delivered; without a destination the app pulls them.
    pub fn has_destination(&self) -> bool {
        self.inner.settings.destination.is_some()
    }

    /// The handler of the jobs `delivery.mailbox`; none where events have no destination. What the app answers is handed
    /// to `answers`.
    pub fn handler(&self, answers: Option<Arc<dyn AnswerReader>>) -> Option<Arc<dyn Handler>> {
        let destination = self.inner.settings.destination.as_ref();
        destination.map(|_| Arc::new(Mailboxes::new(self.clone(), answers)) as Arc<dyn Handler>)
    }

    /// Measures what waits for delivery until `stop` is cancelled. Run it beside the handler.
    pub async fn sample(&self, stop: CancellationToken) {
        while self.inner.settings.destination.is_some() && !stop.is_cancelled() {
            match self.measure().await {
                Ok((events, oldest_age_seconds)) => METRICS.pending(events, oldest_age_seconds),
                Err(error) => warn!(%error, "the undelivered events could not be measured"),
            }
            let _ = timeout(SAMPLE_INTERVAL, stop.cancelled()).await;
        }
    }

    async fn measure(&self) -> Result<(i64, f64), StoreError> {
        let (events, oldest) = store::pending_statistics(&mut *self.inner.db.conn().await?).await?;
        let now = self.inner.ids.clock().now();
        let age = (now - oldest.unwrap_or(now)).to_std().unwrap_or_default();
        Ok((events, age.as_secs_f64()))
    }

    /// Up to `limit` events after this sequence, as JSON, each with its sequence. What was erased is left out.
    pub(crate) async fn list(
        &self,
        after: i64,
        subject: Option<&Subject>,
        limit: i64,
    ) -> Result<Vec<(i64, Option<Box<RawValue>>)>, DeliveryError> {
        let events = {
            let mut conn = self.inner.db.conn().await?;
            store::list(&mut conn, after, subject, limit).await?
        };
        let mut documents = Vec::with_capacity(events.len());
        for event in events {
            documents.push((event.sequence, self.readable(&event).await?));
        }
        Ok(documents)
    }

    /// One event as JSON; none if there is none or it was erased.
    pub(crate) async fn get(&self, id: EventId) -> Result<Option<Box<RawValue>>, DeliveryError> {
        let event = store::by_id(&mut *self.inner.db.conn().await?, id).await?;
        match event {
            Some(event) => self.readable(&event).await,
            None => Ok(None),
        }
    }

    /// Erases what was told, or was still to be told, of a link before it ended: all of its mailbox that comes before the
    /// latest event of this type, which is kept and delivered.
    pub async fn erase_before(
        &self,
        mailbox: MailboxId,
        subject: &Subject,
        last_type: &'static str,
    ) -> Result<(), StoreError> {
        loop {
            let erased = self
                .inner
                .db
                .run_tx("erase_events", async |conn: &mut Conn| {
                    store::erase_before(conn, mailbox, subject, last_type).await
                })
                .await?;
            if erased < store::ERASED_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// Erases what was said to the bot by the user of a link that has ended, or on behalf of its subject: what is about
    /// nobody in the mailbox of that user, and what is about the subject in all mailboxes but the link's, whether or not it
    /// was delivered. Where the link was to a whole account, each of its users has a mailbox.
    pub async fn erase_said(
        &self,
        said: MailboxId,
        link: MailboxId,
        subject: &Subject,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        loop {
            let erased = self
                .inner
                .db
                .run_tx("erase_said", async |conn: &mut Conn| {
                    store::erase_said(conn, said, link, subject, until).await
                })
                .await?;
            if erased == 0 {
                return Ok(());
            }
        }
    }

    async fn readable(&self, event: &StoredEvent) -> Result<Option<Box<RawValue>>, DeliveryError> {
        match self.inner.document(event).await {
            Ok(document) => Ok(Some(document)),
            Err(DeliveryError::Vault(VaultError::Destroyed(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Inner {
    async fn document(&self, event: &StoredEvent) -> Result<Box<RawValue>, DeliveryError> {
        let place = Place::new("events", "data_sealed", event.id);
        let data = self.vault.open(place, &event.data_sealed).await?;
        document(event, &self.settings.region, &data)
    }

    /// Posts an event to the app once. An error means that it did not come to that.
    pub(crate) async fn post(
        &self,
        event: &StoredEvent,
        reads_answer: bool,
    ) -> Result<Posted, DeliveryError> {
        let body = self.document(event).await?;
        let started_at = self.ids.clock().now();
        let Some(request) = self.request(event, body.get().as_bytes(), started_at) else {
            return Err(DeliveryError::Malformed(event.id));
        };
        let started = Instant::now();
        let answer = self.client.send(request).await;
        let mut said = None;
        let (answer, failure) = match answer {
            Ok(response) => {
                let status = response.status();
                let wait = retry_after(response.headers(), &self.ids.clock().now());
                let body = response.bytes_limited(MAX_ANSWER_BYTES).await;
                let failure = match body {
                    _ if !status.is_success() => Some((DeliveryError::Refused(status), wait)),
                    _ if !reads_answer => None,
                    Ok(body) => {
                        said = Some(body);
                        None
                    }
                    Err(EgressError::BodyTooLarge { .. }) => {
                        warn!(event.id = %event.id, "the app's answer is too large to be read");
                        None
                    }
                    // What it asks for may have been lost on the way, so it is asked again.
                    Err(error) => Some((DeliveryError::Unreachable(error), None)),
                };
                (Ok(status.as_u16()), failure)
            }
            Err(error) => {
                let class = error.kind();
                (Err(class), Some((DeliveryError::Unreachable(error), None)))
            }
        };
        let took = started.elapsed();
        let outcome = failure.as_ref().map_or(DELIVERED, |(error, _)| error.class());
        METRICS.attempt(outcome, took);
        Ok(Posted {
            attempt: Attempt {
                started_at,
                duration_ms: i32::try_from(took.as_millis()).unwrap_or(i32::MAX),
                answer,
            },
            answer: said,
            failure,
        })
    }

    /// The request of the Standard Webhooks specification; id and body are the same for every attempt.
    fn request(&self, event: &StoredEvent, body: &[u8], now: Timestamp) -> Option<Request<Bytes>> {
        let Destination { url, secrets } = self.settings.destination.as_ref()?;
        let signature = secrets.sign(event.id, now, body)?;
        Request::post(url.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header(WEBHOOK_ID, event.id.to_string())
            .header(WEBHOOK_TIMESTAMP, now.timestamp().to_string())
            .header(WEBHOOK_SIGNATURE, signature)
            .body(Bytes::copy_from_slice(body))
            .ok()
    }
}

#[async_trait]
impl Outbox for Delivery {
    async fn write(&self, conn: &mut Conn, event: NewEvent) -> Result<(), StoreError> {
        let traceparent = domicile_telemetry::current_traceparent();
        store::insert(conn, &event, traceparent.as_deref()).await?;
        if self.inner.settings.destination.is_none() {
            return Ok(());
        }
        let job = NewJob {
            kind: KIND,
            key: &event.mailbox.to_string(),
            lane: event.account.as_ref().map(ZoomAccountId::as_str),
            due_at: self.inner.ids.clock().now(),
            traceparent: traceparent.as_deref(),
        };
        enqueue(conn, &self.inner.ids, job).await
    }
}
