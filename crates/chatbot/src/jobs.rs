//! Brings Zoom's side to what is wanted of a message, one call a run.

use std::time::Duration;

use async_trait::async_trait;
use domicile_kernel::Secret;
use domicile_kernel::state::{BotMessageState, WantedMessage};
use domicile_kernel::{BotMessageId, EventId, Fate, Timestamp};
use domicile_leases::{Backoff, Finished, Handler, JobError, JobKind, Lease, Policy};
use domicile_store::{Conn, NewEvent, StoreError};
use domicile_vault::{KeyScope, Place};
use domicile_zoom::chat::content::Content;
use domicile_zoom::chat::{CallbackUrl, ChatError, EditMessage, MessageId, NewMessage, SentMessage};
use serde_json::json;
use tracing::{Instrument, info, info_span, warn};

use crate::error::ChatbotError;
use crate::listening::mailbox;
use crate::messages::Messages;
use crate::metrics::{DONE, METRICS};
use crate::sealed;
use crate::store::{self, MessageRow};

/// Brings a message to what is wanted of it; keyed by the message's id.
pub const BOT_MESSAGE: JobKind = JobKind("bot.message");

const POLICY: Policy = Policy {
    concurrency: 32,
    // A few of an account's messages at once; the others wait without a worker.
    lane_concurrency: Some(4),
    lease: Duration::from_mins(1),
    timeout: Duration::from_secs(45),
    backoff: Backoff {
        first: Duration::from_secs(1),
        longest: Duration::from_mins(10),
    },
    // With the backoff's jitter some two hours: nobody waits for the answer of a bot for longer.
    max_attempts: 20,
};

/// The class of a message whose sending was begun by a worker that did not live to tell.
const INTERRUPTED: &str = "interrupted";
/// The class of a change to a message for which Zoom named no id.
const NO_MESSAGE_ID: &str = "no_message_id";

/// Runs the jobs of all messages.
pub(crate) struct Speaking {
    messages: Messages,
}

/// What is to be done about a message.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Zoom has what is wanted, or nothing can be done any more.
    Nothing,
    /// It was never sent.
    Send,
    /// A worker began to send it and was never heard of again.
    Lose,
    /// Zoom has an older content.
    Edit(MessageId),
    /// Zoom has it and must not.
    Delete(MessageId),
    /// Zoom has it under an id that it did not tell.
    Unreachable,
}

fn step(row: &MessageRow) -> Result<Step, StoreError> {
    let present = row.wanted()? == WantedMessage::Present;
    Ok(match row.state()? {
        BotMessageState::Pending if present => Step::Send,
        BotMessageState::Sending => Step::Lose,
        BotMessageState::Sent if present && row.sent_revision >= row.wanted_revision => Step::Nothing,
        BotMessageState::Sent => match &row.zoom_message_id {
            None => Step::Unreachable,
            Some(id) if present => Step::Edit(MessageId::new(id.as_str())),
            Some(id) => Step::Delete(MessageId::new(id.as_str())),
        },
        BotMessageState::Pending
        | BotMessageState::Deleted
        | BotMessageState::Failed
        | BotMessageState::Unsure => Step::Nothing,
    })
}

/// A change of a row that a run ends with.
#[derive(Clone)]
enum Outcome {
    /// Zoom has this revision.
    Sent(i32, Option<MessageId>),
    /// It is gone.
    Deleted,
    /// It will not come to be.
    Failed(&'static str),
    /// Nobody knows.
    Unsure(&'static str),
}

impl Speaking {
    pub(crate) fn new(messages: Messages) -> Self {
        Self { messages }
    }

    fn now(&self) -> Timestamp {
        self.messages.now()
    }

    async fn rest(&self, lease: &Lease) -> Result<Finished, JobError> {
        let now = self.now();
        let finished = self
            .messages
            .inner
            .db
            .run_tx("bot_message_rests", async |conn: &mut Conn| {
                lease.finish(conn, now).await
            })
            .await;
        Ok(finished?)
    }

    /// Makes the first send's beginning known before it begins (INV-4): whoever finds `sending` later knows that Zoom may
    /// have the message. Gives the row as it is then; none if it is not to be sent any more.
    async fn begin(&self, lease: &Lease, id: BotMessageId) -> Result<Option<MessageRow>, ChatbotError> {
        let now = self.now();
        self.messages
            .inner
            .db
            .run_tx(
                "bot_message_begins",
                async |conn: &mut Conn| -> Result<Option<MessageRow>, ChatbotError> {
                    let Some(mut row) = store::lock(conn, id).await? else {
                        return Ok(None);
                    };
                    if step(&row)? != Step::Send {
                        return Ok(None);
                    }
                    lease.check(conn).await?;
                    let begun = row.clone();
                    row.set_state(row.state()?.send()?);
                    row.error_class = None;
                    // It works once, so nobody tries it twice.
                    row.callback_sealed = None;
                    row.callback_expires_at = None;
                    store::update(conn, &row, now).await?;
                    Ok(Some(begun))
                },
            )
            .await
    }

    /// Takes the beginning back: the message surely did not reach Zoom.
    async fn take_back(
        &self,
        lease: &Lease,
        id: BotMessageId,
        class: &'static str,
    ) -> Result<(), ChatbotError> {
        let now = self.now();
        self.messages
            .inner
            .db
            .run_tx(
                "bot_message_not_sent",
                async |conn: &mut Conn| -> Result<(), ChatbotError> {
                    let Some(mut row) = store::lock(conn, id).await? else {
                        return Ok(());
                    };
                    lease.check(conn).await?;
                    let state = row.state()?.not_sent()?;
                    row.set_state(match row.wanted()? {
                        WantedMessage::Present => state,
                        WantedMessage::Deleted => state.delete()?,
                    });
                    row.error_class = Some(class.to_owned());
                    store::update(conn, &row, now).await.map_err(ChatbotError::from)
                },
            )
            .await
    }

    /// Commits what a run came to and ends the job, in one transaction (INV-5). What the app has to know of it is written
    /// there too.
    async fn end(&self, lease: &Lease, row: &MessageRow, outcome: Outcome) -> Result<Finished, ChatbotError> {
        let (id, now) = (row.id(), self.now());
        let event = match &outcome {
            Outcome::Failed(reason) => self.event(row, BotMessageState::Failed, reason).await?,
            Outcome::Unsure(reason) => self.event(row, BotMessageState::Unsure, reason).await?,
            Outcome::Sent(..) | Outcome::Deleted => None,
        };
        let (finished, state) = self
            .messages
            .inner
            .db
            .run_tx(
                "bot_message_ends",
                async |conn: &mut Conn| -> Result<(Finished, Option<BotMessageState>), ChatbotError> {
                    let locked = store::lock(conn, id).await?;
                    let Some(mut row) = locked else {
                        return Ok((lease.finish(conn, now).await?, None));
                    };
                    apply(&mut row, &outcome)?;
                    store::update(conn, &row, now).await?;
                    if let Some(event) = &event {
                        self.messages.inner.outbox.write(conn, event.clone()).await?;
                    }
                    let finished = match step(&row)? {
                        Step::Nothing => lease.finish(conn, now).await?,
                        // A newer content was wanted meanwhile, or none at all.
                        _ => lease.finish_and_requeue(conn, now, now).await?,
                    };
                    Ok((finished, Some(row.state()?)))
                },
            )
            .await?;
        if let Some(state) = state {
            METRICS.ended(state);
        }
        match &outcome {
            Outcome::Failed(class) => {
                warn!(bot.message.id = %id, error.type = class, "a message of the bot failed");
            }
            Outcome::Unsure(class) => {
                warn!(bot.message.id = %id, error.type = class, "nobody knows whether Zoom has a message of the bot; it is not sent again");
            }
            Outcome::Sent(..) | Outcome::Deleted => {
                info!(bot.message.id = %id, "Zoom has what is wanted of a message");
            }
        }
        Ok(finished)
    }

    /// Tells the app that a message will not be what it wanted.
    async fn event(
        &self,
        row: &MessageRow,
        state: BotMessageState,
        reason: &str,
    ) -> Result<Option<NewEvent>, ChatbotError> {
        let (mailbox, subject) = match row.link()? {
            Some((link, subject)) => (link.into(), Some(subject)),
            None => (mailbox(&row.account(), None), None),
        };
        let inner = &self.messages.inner;
        let key = inner.vault.key(&KeyScope::Account(row.account())).await?;
        let id: EventId = inner.ids.make();
        let data = json!({"message": {"id": row.id(), "status": state.name(), "reason": reason}});
        Ok(Some(NewEvent {
            id,
            mailbox,
            event_type: "bot.message_failed",
            version: 1,
            subject,
            account: Some(row.account()),
            occurred_at: self.now(),
            data_sealed: key.seal(
                Place::new("events", "data_sealed", id),
                data.to_string().as_bytes(),
            )?,
        }))
    }

    async fn content(&self, row: &MessageRow) -> Result<Content, ChatbotError> {
        let sealed = row
            .content_sealed
            .as_deref()
            .ok_or(ChatbotError::Sealed("bot_messages.content_sealed"))?;
        sealed::open_content(&self.messages.inner.vault, row.id(), sealed).await
    }

    async fn callback(
        &self,
        row: &MessageRow,
    ) -> Result<Option<(CallbackUrl, Secret<String>)>, ChatbotError> {
        let inner = &self.messages.inner;
        match (&row.callback_sealed, row.callback_expires_at) {
            (Some(sealed), Some(end)) if self.now() < end => {
                sealed::open_callback(&inner.vault, inner.api.hosts(), row.id(), sealed).await
            }
            _ => Ok(None),
        }
    }

    /// The first send. Zoom has no idempotency key: where it may have taken the message without saying so, it is never
    /// sent again.
    async fn send(&self, lease: &Lease, id: BotMessageId) -> Result<Finished, ChatbotError> {
        // Whatever has to be waited for is waited for before the send is said to have begun.
        self.messages.inner.api.ready().await.inspect_err(|error| {
            METRICS.call("send", error.class());
        })?;
        let Some(row) = self.begin(lease, id).await? else {
            let now = self.now();
            let finished = self
                .messages
                .inner
                .db
                .run_tx("bot_message_looks_again", async |conn: &mut Conn| {
                    lease.finish_and_requeue(conn, now, now).await
                })
                .await;
            return Ok(finished?);
        };
        let (content, callback) = match self.to_say(&row).await {
            Ok(what) => what,
            Err(error) => {
                self.take_back(lease, id, error.class()).await?;
                return Err(error);
            }
        };
        match self.say(&row, &content, callback).await {
            Ok(sent) => {
                let outcome = Outcome::Sent(row.wanted_revision, sent.message_id);
                self.end(lease, &row, outcome).await
            }
            Err(error) if error.may_have_taken_effect() => {
                self.end(lease, &row, Outcome::Unsure(error.class())).await
            }
            Err(error) if error.fate().is_retry() && !is_last(lease) => {
                self.take_back(lease, id, error.class()).await?;
                Err(error.into())
            }
            Err(error) => self.end(lease, &row, Outcome::Failed(error.class())).await,
        }
    }

    async fn to_say(
        &self,
        row: &MessageRow,
    ) -> Result<(Content, Option<(CallbackUrl, Secret<String>)>), ChatbotError> {
        Ok((self.content(row).await?, self.callback(row).await?))
    }

    /// By the callback where there is one; by the bot's own token where there is none, or it surely had no effect.
    async fn say(
        &self,
        row: &MessageRow,
        content: &Content,
        callback: Option<(CallbackUrl, Secret<String>)>,
    ) -> Result<SentMessage, ChatError> {
        let api = &self.messages.inner.api;
        let account = row.account();
        let message = NewMessage {
            robot_jid: &row.robot_jid,
            to_jid: &row.to_jid,
            account_id: &account,
            user_jid: row.user_jid.as_deref(),
            reply_to: row.reply_to.as_deref(),
            visible_to_user: row.visible_to_user.as_deref(),
            is_markdown_support: row.is_markdown,
            content,
        };
        if let Some((url, token)) = callback {
            let answer = api.answer_callback(&url, &token, &message).await;
            METRICS.call("callback", outcome(&answer));
            match answer {
                Err(error) if !error.may_have_taken_effect() => {
                    info!(bot.message.id = %row.id(), error.type = error.class(), "the callback was refused; the bot's own token is used");
                }
                answer => return answer,
            }
        }
        let answer = api.send(&message).await;
        METRICS.call("send", outcome(&answer));
        answer
    }

    /// A change can be repeated at will: its answer alone decides.
    async fn edit(&self, lease: &Lease, row: &MessageRow, id: &MessageId) -> Result<Finished, ChatbotError> {
        let content = self.content(row).await?;
        let edit = EditMessage {
            robot_jid: &row.robot_jid,
            account_id: &row.account(),
            user_jid: row.user_jid.as_deref(),
            is_markdown_support: row.is_markdown,
            content: &content,
        };
        let answer = self.messages.inner.api.edit(id, &edit).await;
        METRICS.call("edit", outcome(&answer));
        match answer {
            Ok(()) => {
                let outcome = Outcome::Sent(row.wanted_revision, Some(id.clone()));
                self.end(lease, row, outcome).await
            }
            Err(error) => self.repeat_or_fail(lease, row, error).await,
        }
    }

    async fn delete(
        &self,
        lease: &Lease,
        row: &MessageRow,
        id: &MessageId,
    ) -> Result<Finished, ChatbotError> {
        let answer = self
            .messages
            .inner
            .api
            .delete(id, &row.account(), &row.robot_jid, row.user_jid.as_deref())
            .await;
        METRICS.call("delete", outcome(&answer));
        match answer {
            // What is not there is deleted.
            Ok(()) | Err(ChatError::NoMessage) => self.end(lease, row, Outcome::Deleted).await,
            Err(error) => self.repeat_or_fail(lease, row, error).await,
        }
    }

    async fn repeat_or_fail(
        &self,
        lease: &Lease,
        row: &MessageRow,
        error: ChatError,
    ) -> Result<Finished, ChatbotError> {
        let again = error.fate().is_retry() || error.may_have_taken_effect();
        if again && !is_last(lease) {
            Err(error.into())
        } else {
            self.end(lease, row, Outcome::Failed(error.class())).await
        }
    }

    async fn speak(&self, lease: &Lease, row: &MessageRow) -> Result<Finished, JobError> {
        let finished = match step(row)? {
            Step::Nothing => return self.rest(lease).await,
            Step::Send => self.send(lease, row.id()).await,
            Step::Lose => self.end(lease, row, Outcome::Unsure(INTERRUPTED)).await,
            Step::Edit(id) => self.edit(lease, row, &id).await,
            Step::Delete(id) => self.delete(lease, row, &id).await,
            Step::Unreachable => self.end(lease, row, Outcome::Failed(NO_MESSAGE_ID)).await,
        };
        match finished {
            Ok(finished) => Ok(finished),
            // What Zoom refused has been dealt with; this is a token or a content that cannot be had.
            Err(error) if is_spent(lease, &error) => {
                Ok(self.end(lease, row, Outcome::Failed(error.class())).await?)
            }
            Err(error) => Err(retry(error)),
        }
    }
}

/// An effect that may have come is repeated too, where it gets here: it is a change, which does no harm twice.
fn retry(error: ChatbotError) -> JobError {
    match &error {
        ChatbotError::Chat(cause) if cause.may_have_taken_effect() && !cause.fate().is_retry() => {
            JobError::new(error.class(), Fate::RETRY, error)
        }
        _ => error.into(),
    }
}

/// Changes the row as a run's outcome says. What was wanted meanwhile stays wanted.
fn apply(row: &mut MessageRow, outcome: &Outcome) -> Result<(), ChatbotError> {
    let state = row.state()?;
    match outcome {
        Outcome::Sent(revision, id) => {
            row.set_state(state.arrive()?);
            row.sent_revision = *revision;
            row.zoom_message_id = id.as_ref().map(|id| id.as_str().to_owned());
            row.error_class = None;
        }
        Outcome::Deleted => {
            row.set_state(state.delete()?);
            row.error_class = None;
        }
        Outcome::Failed(class) => {
            row.set_state(state.fail()?);
            row.error_class = Some((*class).to_owned());
        }
        Outcome::Unsure(class) => {
            row.set_state(state.lose()?);
            row.error_class = Some((*class).to_owned());
        }
    }
    Ok(())
}

fn outcome<T>(answer: &Result<T, ChatError>) -> &'static str {
    answer.as_ref().map_or_else(ChatError::class, |_| DONE)
}

/// Whether another run cannot mend it, and this one can still say so.
fn is_spent(lease: &Lease, error: &ChatbotError) -> bool {
    let ours = matches!(
        error,
        ChatbotError::Lease(_) | ChatbotError::Store(_) | ChatbotError::Transition(_)
    );
    let final_here = !error.fate().is_retry()
        && !matches!(error, ChatbotError::Chat(cause) if cause.may_have_taken_effect());
    !ours && (is_last(lease) || final_here)
}

fn is_last(lease: &Lease) -> bool {
    lease.attempt() >= POLICY.max_attempts
}

#[async_trait]
impl Handler for Speaking {
    fn kind(&self) -> JobKind {
        BOT_MESSAGE
    }

    fn policy(&self) -> Policy {
        POLICY
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        let id: BotMessageId = lease.key().parse().map_err(|_| ChatbotError::MalformedKey)?;
        let row = {
            let mut conn = self.messages.inner.db.conn().await?;
            store::by_id(&mut conn, id).await?
        };
        let Some(row) = row else {
            return self.rest(lease).await;
        };
        let span = info_span!("bot_message", bot.message.id = %id);
        if let Some(traceparent) = lease.traceparent().or(row.traceparent.as_deref()) {
            domicile_telemetry::set_parent(&span, traceparent);
        }
        self.speak(lease, &row).instrument(span).await
    }

    /// The row says so too. What Zoom refuses never comes here, so this is trouble of our own, and the app reads it.
    async fn quarantined(
        &self,
        conn: &mut Conn,
        lease: &Lease,
        class: &'static str,
    ) -> Result<(), StoreError> {
        let Ok(id) = lease.key().parse::<BotMessageId>() else {
            return Ok(());
        };
        let Some(mut row) = store::lock(conn, id).await? else {
            return Ok(());
        };
        let state = row.state()?;
        // A send that has begun stays so: its next run finds that nobody knows.
        if let (BotMessageState::Pending | BotMessageState::Sent, Ok(failed)) = (state, state.fail()) {
            row.set_state(failed);
            row.error_class = Some(class.to_owned());
            store::update(conn, &row, self.now()).await?;
            METRICS.ended(failed);
        }
        Ok(())
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
    fn a_message_is_tried_for_some_hours() {
        let delays = (1..POLICY.max_attempts).map(|attempt| POLICY.backoff.delay(attempt, None, &Middle));
        let minutes = delays.sum::<Duration>().as_secs_f64() / 60.0;
        assert!((75.0..150.0).contains(&minutes), "{minutes}");
    }

    #[test]
    fn a_run_ends_before_its_lease() {
        assert!(POLICY.timeout < POLICY.lease);
    }
}
