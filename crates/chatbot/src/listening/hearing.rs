use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domicile_kernel::{BotMessageId, EventId, InboxId, LinkId, Secret, Subject, Timestamp};
use domicile_leases::{Backoff, Finished, Handler, JobError, JobKind, Lease, Policy};
use domicile_store::{Conn, NewEvent};
use domicile_vault::{DataKey, KeyScope, Place as SealedPlace, VaultError};
use domicile_zoom::chat::content::Content;
use domicile_zoom::event::bot::{BotCallback, BotEvent, Place, Said};
use serde_json::json;
use tracing::{info, warn};

use super::cards::{Cards, OwnCommand, RECORDINGS_SHOWN};
use super::metrics::METRICS;
use super::{BOT_EVENT, Listening, Standing, mailbox, telling};
use crate::error::ChatbotError;
use crate::messages::{NewMessage, PreparedMessage, Recipient};
use crate::origin::Origin;
use crate::people::{self, Person};
use crate::store::{self, Turn};

/// Zoom: the callback's token "only lasts for 30 mins".
pub(super) const CALLBACK_LIFE: TimeDelta = TimeDelta::minutes(30);

/// Hears what was said.
pub(super) struct Hearing(pub(super) Listening);

/// Where answers go.
struct Answer {
    /// To where it was said.
    here: Recipient,
    /// To the speaker alone.
    private: Recipient,
}

/// What is done about what was said, ready to be written in one transaction.
#[derive(Default)]
struct Response {
    message: Option<PreparedMessage>,
    event: Option<(NewEvent, Option<Turn>)>,
}

#[async_trait]
impl Handler for Hearing {
    fn kind(&self) -> JobKind {
        BOT_EVENT
    }

    fn policy(&self) -> Policy {
        Policy {
            concurrency: 16,
            lane_concurrency: Some(4),
            lease: Duration::from_secs(30),
            timeout: Duration::from_secs(20),
            backoff: Backoff {
                first: Duration::from_secs(1),
                longest: Duration::from_mins(10),
            },
            max_attempts: 20,
        }
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        let inbox_id: InboxId = lease
            .key()
            .parse()
            .map_err(|_| JobError::from(ChatbotError::MalformedKey))?;
        let body = self.0.inner.bodies.body(inbox_id).await?;
        let event =
            BotEvent::parse(body.expose()).map_err(|error| JobError::fail("malformed_event", error))?;
        Ok(self.hear(lease, inbox_id, event).await?)
    }
}

impl Hearing {
    async fn hear(
        &self,
        lease: &Lease,
        inbox_id: InboxId,
        mut event: BotEvent,
    ) -> Result<Finished, HearingError> {
        let inner = &self.0.inner;
        let robot = inner.messages.robot_jid();
        if event
            .robot_jid
            .as_deref()
            .is_some_and(|jid| !jid.eq_ignore_ascii_case(robot))
        {
            return Err(HearingError::ForeignBot);
        }
        let (standing, about) = {
            let mut conn = inner.db.conn().await.map_err(ChatbotError::from)?;
            let standing = inner
                .speakers
                .standing(&mut conn, &event.account_id, event.user_id.as_ref())
                .await
                .map_err(ChatbotError::from)?;
            let about = match &event.message_id {
                Some(id) => store::message_of(&mut conn, &event.account_id, id)
                    .await
                    .map_err(ChatbotError::from)?,
                None => None,
            };
            (standing, about)
        };
        let key = inner
            .vault
            .key(&KeyScope::Account(event.account_id.clone()))
            .await
            .map_err(ChatbotError::from)?;
        let callback = event.callback.take();
        let response = self
            .respond(inbox_id, &event, &standing, about, &key, callback)
            .await?;
        Ok(self.write(lease, &event, &standing, &response, &key).await?)
    }

    /// Decides what to do, and gets it ready.
    async fn respond(
        &self,
        inbox_id: InboxId,
        event: &BotEvent,
        standing: &Standing,
        about: Option<BotMessageId>,
        key: &DataKey,
        callback: Option<BotCallback>,
    ) -> Result<Response, HearingError> {
        let settings = &self.0.inner.settings;
        let cards = Cards(settings);
        let what = telling::event_type(&event.said);
        if *standing == Standing::Elsewhere {
            METRICS.heard(what, "elsewhere");
            let addressed = matches!(
                event.said,
                Said::Command { .. }
                    | Said::Mention(_)
                    | Said::Installed
                    | Said::Action { .. }
                    | Said::Selection { .. }
            );
            return Ok(if addressed {
                self.saying(inbox_id, event, standing, cards.elsewhere()?, false)
                    .await?
            } else {
                Response::default()
            });
        }
        if let Said::Command { text, .. } = &event.said
            && let Some(command) = OwnCommand::of(text, &settings.words)
        {
            METRICS.heard(what, command.as_str());
            let content = self.own(command, standing).await?;
            return Ok(self
                .saying(inbox_id, event, standing, content, command.is_private())
                .await?);
        }
        METRICS.heard(what, "told");
        let mut response = if matches!(event.said, Said::Installed) {
            self.saying(inbox_id, event, standing, cards.welcome()?, true)
                .await?
        } else {
            Response::default()
        };
        response.event = Some(self.telling(event, standing, about, key, callback)?);
        Ok(response)
    }

    async fn own(&self, command: OwnCommand, standing: &Standing) -> Result<Content, HearingError> {
        let inner = &self.0.inner;
        let cards = Cards(&inner.settings);
        let recordings = match (command, standing) {
            (OwnCommand::Status, Standing::Linked { subject, .. }) => {
                inner.shelf.latest(subject, 100).await?
            }
            (OwnCommand::Recordings, Standing::Linked { subject, .. }) => {
                inner.shelf.latest(subject, RECORDINGS_SHOWN).await?
            }
            _ => Vec::new(),
        };
        Ok(match (command, standing) {
            (OwnCommand::Help, _) => cards.help(),
            (OwnCommand::Connect, _) => cards.connect(standing, None),
            (OwnCommand::Status, _) => cards.status(standing, &recordings),
            // Who is not linked has no recordings here, and learns how to have some.
            (OwnCommand::Recordings, Standing::Linked { .. }) => cards.recordings(&recordings),
            (OwnCommand::Recordings, _) => cards.status(standing, &[]),
            (OwnCommand::Region, _) => cards.region(),
        }?)
    }

    /// A message of the region's own, if there is anybody to send it to.
    async fn saying(
        &self,
        inbox_id: InboxId,
        event: &BotEvent,
        standing: &Standing,
        content: Content,
        private: bool,
    ) -> Result<Response, ChatbotError> {
        let Some(answer) = self.answer(event) else {
            return Ok(Response::default());
        };
        let message = NewMessage {
            origin: Origin::command(inbox_id),
            account: event.account_id.clone(),
            recipient: if private { answer.private } else { answer.here },
            link: link_of(standing),
            content,
            markdown: false,
            callback: None,
            traceparent: domicile_telemetry::current_traceparent(),
        };
        Ok(Response {
            message: Some(self.0.inner.messages.prepare(message).await?),
            event: None,
        })
    }

    /// The event for the app, and what an answer of the app's will need.
    fn telling(
        &self,
        event: &BotEvent,
        standing: &Standing,
        about: Option<BotMessageId>,
        key: &DataKey,
        callback: Option<BotCallback>,
    ) -> Result<(NewEvent, Option<Turn>), ChatbotError> {
        let now = self.0.now();
        let id: EventId = self.0.inner.ids.make();
        let said_at = event.at.filter(|at| *at <= now).unwrap_or(now);
        let data = telling::data(event, about, said_at).to_string();
        let new = NewEvent {
            id,
            mailbox: mailbox(&event.account_id, event.user_id.as_ref()),
            event_type: telling::event_type(&event.said),
            version: telling::VERSION,
            subject: link_of(standing).map(|(_, subject)| subject),
            account: Some(event.account_id.clone()),
            occurred_at: now,
            data_sealed: key.seal(SealedPlace::new("events", "data_sealed", id), data.as_bytes())?,
        };
        let turn = match self.answer(event) {
            Some(answer) if telling::is_answerable(new.event_type) => Some(Turn {
                event_id: id,
                account: event.account_id.clone(),
                user: event.user_id.clone(),
                to_jid: answer.here.to_jid,
                user_jid: answer.here.user_jid,
                subject: new.subject.as_ref().map(ToString::to_string),
                zoom_message_id: event.message_id.clone(),
                reply_to: answer.here.reply_to,
                callback: match callback {
                    Some(callback) => {
                        let end = said_at.checked_add_signed(CALLBACK_LIFE).unwrap_or(now);
                        Some((seal_callback(key, id, &callback)?, end))
                    }
                    None => None,
                },
            }),
            _ => None,
        };
        Ok((new, turn))
    }

    /// Where an answer belongs; nowhere if it is not known who spoke.
    fn answer(&self, event: &BotEvent) -> Option<Answer> {
        let user_jid = event
            .user_jid
            .clone()
            .or_else(|| event.user_id.as_ref().map(people::derived_jid))?;
        let private = Recipient {
            to_jid: user_jid.clone(),
            user_jid: Some(user_jid.clone()),
            reply_to: None,
            visible_to_user: None,
        };
        let to_jid = match &event.place {
            Some(Place::Jid { to_jid, .. }) => to_jid.clone(),
            // Zoom names channels by id in these events; their address is the id at the conferences of the bot's host.
            Some(Place::Channel { id, .. }) => {
                let host = self
                    .0
                    .inner
                    .messages
                    .robot_jid()
                    .split('@')
                    .nth(1)
                    .unwrap_or("xmpp.zoom.us");
                format!("{}@conference.{host}", id.to_ascii_lowercase())
            }
            // The bot is no part of a conversation of two people.
            Some(Place::Contact { .. }) | None => user_jid.clone(),
        };
        let reply_to = match &event.said {
            Said::Mention(_) => event.thread_id.clone().or_else(|| event.message_id.clone()),
            _ => None,
        };
        Some(Answer {
            here: Recipient {
                to_jid,
                user_jid: Some(user_jid),
                reply_to,
                visible_to_user: None,
            },
            private,
        })
    }

    /// Writes everything and ends the job in one transaction, so that what was said is answered and told once.
    async fn write(
        &self,
        lease: &Lease,
        event: &BotEvent,
        standing: &Standing,
        response: &Response,
        key: &DataKey,
    ) -> Result<Finished, ChatbotError> {
        let inner = &self.0.inner;
        let now = self.0.now();
        let finished = inner
            .db
            .run_tx(
                "bot_event",
                async |conn: &mut Conn| -> Result<Finished, ChatbotError> {
                    let finished = lease.finish(conn, now).await?;
                    // The link may have ended since it was looked at, and the key with it: then all begins anew.
                    if let Standing::Linked { link_id, .. } = standing
                        && !store::hold_live_link(conn, *link_id).await?
                    {
                        return Err(ChatbotError::Changed);
                    }
                    match inner.vault.hold(conn, key).await {
                        Err(VaultError::Destroyed(_)) => return Err(ChatbotError::Changed),
                        held => held?,
                    }
                    if *standing != Standing::Elsewhere {
                        self.remember(conn, event, now).await?;
                    }
                    if let Some(message) = &response.message {
                        inner.messages.write(conn, message).await?;
                    }
                    if let Some((new, turn)) = &response.event {
                        inner.outbox.write(conn, new.clone()).await?;
                        if let Some(turn) = turn {
                            store::insert_turn(conn, turn, inner.messages.robot_jid(), now).await?;
                        }
                    }
                    Ok(finished)
                },
            )
            .await?;
        info!(
            event_type = telling::event_type(&event.said),
            answered = response.message.is_some(),
            told = response.event.is_some(),
            "something was said to the bot"
        );
        Ok(finished)
    }

    async fn remember(&self, conn: &mut Conn, event: &BotEvent, now: Timestamp) -> Result<(), ChatbotError> {
        let (Some(user), Some(user_jid)) = (&event.user_id, &event.user_jid) else {
            return Ok(());
        };
        let person = Person {
            account: &event.account_id,
            user,
            user_jid,
            robot_jid: self.0.inner.messages.robot_jid(),
        };
        Ok(people::remember(conn, person, now).await?)
    }
}

/// Why something that was said could not be dealt with.
#[derive(Debug, thiserror::Error)]
enum HearingError {
    #[error("it was said to another bot than DOMICILE_BOT_ROBOT_JID")]
    ForeignBot,
    #[error(transparent)]
    Chatbot(#[from] ChatbotError),
    #[error(transparent)]
    Job(#[from] JobError),
}

impl From<HearingError> for JobError {
    fn from(error: HearingError) -> Self {
        match error {
            HearingError::ForeignBot => {
                warn!("something was said to a bot that is not this region's");
                Self::fail("foreign_bot", error)
            }
            HearingError::Chatbot(error) => error.into(),
            HearingError::Job(error) => error,
        }
    }
}

pub(super) fn link_of(standing: &Standing) -> Option<(LinkId, Subject)> {
    match standing {
        Standing::Linked { link_id, subject, .. } => Some((*link_id, subject.clone())),
        Standing::Elsewhere | Standing::Unlinked => None,
    }
}

fn callback_place(event: EventId) -> SealedPlace {
    SealedPlace::new("bot_turns", "callback_sealed", event)
}

fn seal_callback(key: &DataKey, event: EventId, callback: &BotCallback) -> Result<Vec<u8>, ChatbotError> {
    let parts = zeroize::Zeroizing::new(json!([callback.url.expose(), callback.token.expose()]).to_string());
    Ok(key.seal(callback_place(event), parts.as_bytes())?)
}

/// URL and token, as they were sealed.
pub(super) async fn open_callback(
    listening: &Listening,
    event: EventId,
    sealed: &[u8],
) -> Result<(String, Secret<String>), ChatbotError> {
    let parts = listening.inner.vault.open(callback_place(event), sealed).await?;
    let (url, token): (String, String) = serde_json::from_slice(parts.expose())
        .map_err(|_| ChatbotError::Sealed("bot_turns.callback_sealed"))?;
    Ok((url, Secret::new(token)))
}
