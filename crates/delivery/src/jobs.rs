//! Delivering a mailbox, one event a run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domicile_kernel::{Fate, MailboxId, Timestamp};
use domicile_leases::{Backoff, Finished, Handler, JobError, JobKind, Lease, LeaseError, Policy};
use domicile_store::Conn;
use domicile_vault::VaultError;
use tracing::{Instrument, info, info_span};

use crate::delivery::{Delivery, Posted};
use crate::error::DeliveryError;
use crate::metrics::METRICS;
use crate::ports::{Answer, AnswerReader};
use crate::store::{self, StoredEvent};

/// A job delivers the mailbox that its key names.
pub(crate) const KIND: JobKind = JobKind("delivery.mailbox");

const POLICY: Policy = Policy {
    concurrency: 32,
    // Mailboxes of one account, for which the app may be slow; the others have the rest.
    lane_concurrency: Some(8),
    lease: Duration::from_mins(1),
    timeout: Duration::from_secs(45),
    backoff: Backoff {
        first: Duration::from_secs(5),
        longest: Duration::from_hours(1),
    },
    // With the backoff's jitter that is some seven days.
    max_attempts: 240,
};

/// Runs the jobs of all mailboxes.
pub(crate) struct Mailboxes {
    delivery: Delivery,
    answers: Option<Arc<dyn AnswerReader>>,
}

impl Mailboxes {
    pub(crate) fn new(delivery: Delivery, answers: Option<Arc<dyn AnswerReader>>) -> Self {
        Self { delivery, answers }
    }

    /// Who reads the answers to an event, if anybody does.
    fn reader(&self, event: &StoredEvent) -> Option<&Arc<dyn AnswerReader>> {
        let reads = |answers: &&Arc<dyn AnswerReader>| answers.reads(&event.event_type);
        self.answers.as_ref().filter(reads)
    }

    /// Reads what the app answered, if that asks for anything.
    async fn answer(
        &self,
        event: &StoredEvent,
        posted: &Posted,
    ) -> Result<Option<Box<dyn Answer>>, JobError> {
        match (self.reader(event), &posted.answer) {
            (Some(reader), Some(said)) => reader.read(event.id, said).await,
            _ => Ok(None),
        }
    }

    /// The mailbox has nothing to deliver; whoever writes to it meanwhile has asked for another run.
    async fn rest(&self, lease: &Lease) -> Result<Finished, JobError> {
        let inner = &self.delivery.inner;
        let now = inner.ids.clock().now();
        let finished = inner
            .db
            .run_tx("mailbox_is_empty", async |conn: &mut Conn| {
                lease.finish(conn, now).await
            })
            .await;
        Ok(finished?)
    }

    /// Commits a delivery and ends the run in one transaction, so that a worker that lost its lease marks nothing (INV-5).
    /// Each event has attempts of its own: the next run begins to count afresh.
    async fn delivered(
        &self,
        lease: &Lease,
        mailbox: MailboxId,
        event: &StoredEvent,
        posted: &Posted,
    ) -> Result<Finished, JobError> {
        let answer = self.answer(event, posted).await?;
        let inner = &self.delivery.inner;
        let now = inner.ids.clock().now();
        let finished = inner
            .db
            .run_tx(
                "event_delivered",
                async |conn: &mut Conn| -> Result<Finished, LeaseError> {
                    let finished = go_on_after(conn, lease, mailbox, event, now).await?;
                    if store::record_attempt(conn, event.id, &posted.attempt).await? {
                        store::mark_delivered(conn, event.id, now).await?;
                        if let Some(answer) = &answer {
                            answer.keep(conn).await?;
                        }
                    }
                    Ok(finished)
                },
            )
            .await?;
        METRICS.delivered((now - event.occurred_at).to_std().unwrap_or_default());
        info!(event.id = %event.id, "delivered");
        Ok(finished)
    }

    /// The event's account was erased by destroying its key (INV-8), so there is nothing left to tell, and what was written
    /// since then must not wait for it for ever.
    async fn erased(
        &self,
        lease: &Lease,
        mailbox: MailboxId,
        event: &StoredEvent,
    ) -> Result<Finished, JobError> {
        let inner = &self.delivery.inner;
        let now = inner.ids.clock().now();
        let finished = inner
            .db
            .run_tx(
                "event_was_erased",
                async |conn: &mut Conn| -> Result<Finished, LeaseError> {
                    let finished = go_on_after(conn, lease, mailbox, event, now).await?;
                    store::delete(conn, event.id).await?;
                    Ok(finished)
                },
            )
            .await?;
        info!(event.id = %event.id, "its account's key is destroyed; not delivered");
        Ok(finished)
    }

    async fn deliver(
        &self,
        lease: &Lease,
        mailbox: MailboxId,
        event: &StoredEvent,
    ) -> Result<Finished, JobError> {
        let inner = &self.delivery.inner;
        let posted = match inner.post(event, self.reader(event).is_some()).await {
            Ok(posted) => posted,
            Err(DeliveryError::Vault(VaultError::Destroyed(_))) => {
                return self.erased(lease, mailbox, event).await;
            }
            Err(error) => return Err(error.into()),
        };
        let Some((failure, wait)) = posted.failure else {
            return self.delivered(lease, mailbox, event, &posted).await;
        };
        inner
            .db
            .run_tx("event_not_delivered", async |conn: &mut Conn| {
                store::record_attempt(conn, event.id, &posted.attempt).await
            })
            .await?;
        let fate = match failure.fate() {
            Fate::Retry { .. } => Fate::Retry { after: wait },
            Fate::Final => Fate::Final,
        };
        Err(JobError::new(failure.class(), fate, failure))
    }
}

/// Ends the run of a mailbox whose event needs nothing more; another one follows where more events wait.
async fn go_on_after(
    conn: &mut Conn,
    lease: &Lease,
    mailbox: MailboxId,
    event: &StoredEvent,
    now: Timestamp,
) -> Result<Finished, LeaseError> {
    if store::has_pending_after(conn, mailbox, event.sequence).await? {
        lease.finish_and_requeue(conn, now, now).await
    } else {
        lease.finish(conn, now).await
    }
}

#[async_trait]
impl Handler for Mailboxes {
    fn kind(&self) -> JobKind {
        KIND
    }

    fn policy(&self) -> Policy {
        POLICY
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        let mailbox: MailboxId = lease
            .key()
            .parse()
            .map_err(|error| JobError::fail("malformed_key", error))?;
        let event = {
            let mut conn = self.delivery.inner.db.conn().await?;
            store::next_pending(&mut conn, mailbox).await?
        };
        let Some(event) = event else {
            return self.rest(lease).await;
        };
        let span = info_span!("deliver_event", event.id = %event.id, event.type = event.event_type);
        if let Some(traceparent) = &event.traceparent {
            domicile_telemetry::set_parent(&span, traceparent);
        }
        self.deliver(lease, mailbox, &event).instrument(span).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domicile_kernel::Rng;

    struct Middle;

    impl Rng for Middle {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0x7f);
        }
    }

    #[test]
    fn an_app_that_is_down_is_told_for_about_a_week() {
        let delays = (1..POLICY.max_attempts).map(|attempt| POLICY.backoff.delay(attempt, None, &Middle));
        let days = delays.sum::<Duration>().as_secs_f64() / 86_400.0;
        assert!((6.5..8.0).contains(&days), "{days}");
    }
}
