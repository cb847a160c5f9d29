//! The room as others see it: messages that are wanted, changed and taken back in the caller's transaction.

use std::sync::Arc;

use chrono::TimeDelta;
use domicile_kernel::state::{BotMessageState, WantedMessage};
use domicile_kernel::{BotMessageId, Ids, LinkId, Secret, Subject, Timestamp, ZoomAccountId};
use domicile_leases::{Handler, NewJob, enqueue};
use domicile_store::{Conn, Db, Outbox, StoreError};
use domicile_vault::{KeyScope, Vault};
use domicile_zoom::chat::content::Content;
use domicile_zoom::chat::{CallbackUrl, ChatApi};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::ChatbotError;
use crate::jobs::{self, BOT_MESSAGE};
use crate::metrics::METRICS;
use crate::origin::Origin;
use crate::ports::Links;
use crate::sealed;
use crate::settings::ChatbotSettings;
use crate::store::{self, MessageRow, NewRow};

/// Zoom: the callback's token "only lasts for 30 mins".
const CALLBACK_LIFE: TimeDelta = TimeDelta::minutes(30);
/// So long before its end a callback is no longer used.
const CALLBACK_MARGIN: TimeDelta = TimeDelta::seconds(30);

/// What the room is made of.
pub struct Parts {
    /// The region's database.
    pub db: Db,
    /// Ids, clock and randomness.
    pub ids: Ids,
    /// Seals what is said.
    pub vault: Vault,
    /// Tells the app what could not be said.
    pub outbox: Arc<dyn Outbox>,
    /// Speaks to Zoom.
    pub api: ChatApi,
    /// Finds the Zoom users of subjects.
    pub links: Arc<dyn Links>,
    /// The bot.
    pub settings: ChatbotSettings,
}

/// What the bot says. Cheap to clone.
#[derive(Clone)]
pub struct Messages {
    pub(crate) inner: Arc<Parts>,
}

/// Who gets a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Zoom's address of the channel or user. In an answer it is the event's `toJid`, unchanged.
    pub to_jid: String,
    /// Zoom's address of the user on whose behalf it is said: of the one who spoke, where it is an answer.
    pub user_jid: Option<String>,
    /// The message that it answers.
    pub reply_to: Option<String>,
    /// The one Zoom user who sees it in a channel.
    pub visible_to_user: Option<String>,
}

/// The one answer that Zoom lets the bot give to an interactive event without its own token.
#[derive(Clone)]
pub struct Callback {
    url: CallbackUrl,
    token: Secret<String>,
    expires_at: Timestamp,
}

/// A message that is wanted.
#[derive(Clone)]
pub struct NewMessage {
    /// What it is said for.
    pub origin: Origin,
    /// In which Zoom account.
    pub account: ZoomAccountId,
    /// To whom.
    pub recipient: Recipient,
    /// The link that it is about, and whom.
    pub link: Option<(LinkId, Subject)>,
    /// What it shows.
    pub content: Content,
    /// Whether its texts are Markdown.
    pub markdown: bool,
    /// Used once for the first answer, where it has not expired.
    pub callback: Option<Callback>,
    /// The trace that wants it.
    pub traceparent: Option<String>,
}

/// A message, sealed and ready to be written; a repeated transaction writes it again.
#[derive(Clone)]
pub struct PreparedMessage {
    id: BotMessageId,
    origin: Origin,
    account: ZoomAccountId,
    recipient: Recipient,
    link: Option<(LinkId, Subject)>,
    markdown: bool,
    request_sealed: Vec<u8>,
    content_sealed: Vec<u8>,
    callback: Option<(Vec<u8>, Timestamp)>,
    traceparent: Option<String>,
}

/// A newer content, sealed and ready to be written.
#[derive(Clone)]
pub struct PreparedEdit {
    id: BotMessageId,
    account: ZoomAccountId,
    content_sealed: Vec<u8>,
}

/// What came of writing a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The message of this origin.
    pub id: BotMessageId,
    /// False where there was one already, or where its link has ended, for which nothing is written.
    pub new: bool,
}

/// What came of wanting another content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// It will be shown.
    Wanted,
    /// There is no such message in this account.
    Unknown,
    /// It was taken back.
    Deleted,
    /// Nobody knows whether or under which name Zoom has it, so it cannot be changed.
    NotEditable,
}

/// A message as the app sees it.
#[derive(Debug, Clone, Serialize)]
pub struct MessageView {
    /// Its id.
    pub id: BotMessageId,
    /// How far it has come at Zoom.
    pub status: &'static str,
    /// Whom it is for.
    pub to: ToView,
    /// Counts the contents that were wanted, from 1.
    pub revision: i32,
    /// The content that Zoom has; 0 before the first.
    pub sent_revision: i32,
    /// Why it is not what is wanted; null where all is well.
    pub reason: Option<String>,
    /// Zoom's id.
    pub zoom_message_id: Option<String>,
    /// When it was first wanted.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// Whom a message is for.
#[derive(Debug, Clone, Serialize)]
pub struct ToView {
    /// Zoom's address of the channel or user.
    pub jid: String,
    /// The Zoom account.
    pub account_id: ZoomAccountId,
    /// Whom of the app's it is about.
    pub subject: Option<Subject>,
}

impl Messages {
    /// The room.
    pub fn new(parts: Parts) -> Self {
        METRICS.start_at_zero();
        Self {
            inner: Arc::new(parts),
        }
    }

    /// The address of the region's bot.
    pub fn robot_jid(&self) -> &str {
        &self.inner.settings.robot_jid
    }

    /// The handlers of this room's jobs.
    pub fn handlers(&self) -> Vec<Arc<dyn Handler>> {
        vec![Arc::new(jobs::Speaking::new(self.clone()))]
    }

    /// The callback that an event offers, if it is one of Zoom's; `sent_at` is the time of the event.
    pub fn callback(&self, url: &str, token: Secret<String>, sent_at: Timestamp) -> Option<Callback> {
        let url = CallbackUrl::check(url, self.inner.api.hosts()).ok()?;
        let expires_at = sent_at.checked_add_signed(CALLBACK_LIFE - CALLBACK_MARGIN)?;
        Some(Callback {
            url,
            token,
            expires_at,
        })
    }

    /// Seals a message. Call it before the transaction begins: it may read the database and call a key service.
    pub async fn prepare(&self, new: NewMessage) -> Result<PreparedMessage, ChatbotError> {
        let request = json!({
            "account": new.account,
            "to": new.recipient.to_jid,
            "reply_to": new.recipient.reply_to,
            "visible_to_user": new.recipient.visible_to_user,
            "markdown": new.markdown,
            "content": new.content,
        });
        self.prepare_for(new, &request).await
    }

    /// The same, for a request that is told from others by more than what comes of it.
    pub(crate) async fn prepare_for(
        &self,
        new: NewMessage,
        request: &Value,
    ) -> Result<PreparedMessage, ChatbotError> {
        let id: BotMessageId = self.inner.ids.make();
        let key = self
            .inner
            .vault
            .key(&KeyScope::Account(new.account.clone()))
            .await?;
        let callback = match &new.callback {
            Some(Callback {
                url,
                token,
                expires_at,
            }) => Some((sealed::seal_callback(&key, id, url, token)?, *expires_at)),
            None => None,
        };
        Ok(PreparedMessage {
            id,
            request_sealed: sealed::seal_digest(&key, id, &sealed::digest(request))?,
            content_sealed: sealed::seal_content(&key, id, &new.content)?,
            callback,
            origin: new.origin,
            account: new.account,
            recipient: new.recipient,
            link: new.link,
            markdown: new.markdown,
            traceparent: new.traceparent,
        })
    }

    /// Writes a message and asks for its sending, as part of the caller's transaction. A second one with the same origin
    /// does nothing and says the id of the first.
    pub async fn write(&self, conn: &mut Conn, prepared: &PreparedMessage) -> Result<Written, StoreError> {
        let PreparedMessage { id, account, .. } = prepared;
        if let Some((link, _)) = &prepared.link
            && !store::hold_live_link(conn, *link).await?
        {
            return Ok(Written { id: *id, new: false });
        }
        let row = NewRow {
            id: *id,
            origin: &prepared.origin,
            request_sealed: &prepared.request_sealed,
            account,
            link: prepared.link.as_ref(),
            to_jid: &prepared.recipient.to_jid,
            user_jid: prepared.recipient.user_jid.as_deref(),
            robot_jid: &self.inner.settings.robot_jid,
            reply_to: prepared.recipient.reply_to.as_deref(),
            visible_to_user: prepared.recipient.visible_to_user.as_deref(),
            is_markdown: prepared.markdown,
            content_sealed: &prepared.content_sealed,
            callback: prepared
                .callback
                .as_ref()
                .map(|(sealed, end)| (sealed.as_slice(), *end)),
            traceparent: prepared.traceparent.as_deref(),
        };
        if store::insert(conn, row, self.now()).await? {
            self.ask(conn, *id, account, prepared.traceparent.as_deref())
                .await?;
            return Ok(Written { id: *id, new: true });
        }
        let first = store::by_origin(conn, &prepared.origin).await?;
        let id = first.as_ref().map_or(*id, MessageRow::id);
        Ok(Written { id, new: false })
    }

    /// Seals a newer content for a message. Call it before the transaction begins.
    pub async fn prepare_edit(
        &self,
        message: BotMessageId,
        account: &ZoomAccountId,
        content: &Content,
    ) -> Result<PreparedEdit, ChatbotError> {
        let key = self.inner.vault.key(&KeyScope::Account(account.clone())).await?;
        Ok(PreparedEdit {
            id: message,
            account: account.clone(),
            content_sealed: sealed::seal_content(&key, message, content)?,
        })
    }

    /// Wants a newer content, as part of the caller's transaction; also of a message that is not sent yet. The newest one
    /// wins, and those that Zoom never saw are never sent. A message that failed is tried once more with it.
    pub async fn write_edit(&self, conn: &mut Conn, edit: &PreparedEdit) -> Result<Edited, StoreError> {
        let Some(mut row) = store::lock(conn, edit.id).await? else {
            return Ok(Edited::Unknown);
        };
        if row.account() != edit.account {
            return Ok(Edited::Unknown);
        }
        if row.wanted()? == WantedMessage::Deleted {
            return Ok(Edited::Deleted);
        }
        let named = row.zoom_message_id.is_some();
        match row.state()? {
            BotMessageState::Pending | BotMessageState::Sending => {}
            BotMessageState::Sent if named => {}
            BotMessageState::Failed if named => {
                row.set_state(BotMessageState::Sent);
                row.error_class = None;
            }
            // It surely never came to Zoom.
            BotMessageState::Failed if row.sent_revision == 0 => {
                row.set_state(BotMessageState::Pending);
                row.error_class = None;
            }
            BotMessageState::Deleted => return Ok(Edited::Deleted),
            BotMessageState::Sent | BotMessageState::Failed | BotMessageState::Unsure => {
                return Ok(Edited::NotEditable);
            }
        }
        row.content_sealed = Some(edit.content_sealed.clone());
        row.wanted_revision = row.wanted_revision.saturating_add(1);
        store::update(conn, &row, self.now()).await?;
        let traceparent = domicile_telemetry::current_traceparent();
        self.ask(conn, edit.id, &edit.account, traceparent.as_deref())
            .await?;
        Ok(Edited::Wanted)
    }

    /// Takes a message back, as part of the caller's transaction: its content is forgotten here, and Zoom is asked to
    /// delete it. False if there is no such message. One that was taken back already stays so.
    pub async fn write_delete(&self, conn: &mut Conn, id: BotMessageId) -> Result<bool, StoreError> {
        let Some(mut row) = store::lock(conn, id).await? else {
            return Ok(false);
        };
        if row.wanted()? == WantedMessage::Deleted && row.state()? != BotMessageState::Failed {
            return Ok(true);
        }
        row.set_wanted(WantedMessage::Deleted);
        row.content_sealed = None;
        row.callback_sealed = None;
        row.callback_expires_at = None;
        let at_zoom = row.zoom_message_id.is_some() || row.sent_revision > 0;
        match row.state()? {
            // Nobody has begun to send it, and nobody will.
            BotMessageState::Pending => row.set_state(BotMessageState::Deleted),
            BotMessageState::Failed if !at_zoom => row.set_state(BotMessageState::Deleted),
            BotMessageState::Failed => row.set_state(BotMessageState::Sent),
            _ => {}
        }
        if row.state()? != BotMessageState::Unsure {
            row.error_class = None;
        }
        store::update(conn, &row, self.now()).await?;
        if matches!(row.state()?, BotMessageState::Sending | BotMessageState::Sent) {
            let traceparent = domicile_telemetry::current_traceparent();
            self.ask(conn, id, &row.account(), traceparent.as_deref()).await?;
        }
        Ok(true)
    }

    /// The message of an origin.
    pub async fn by_origin(
        &self,
        conn: &mut Conn,
        origin: &Origin,
    ) -> Result<Option<MessageView>, StoreError> {
        let row = store::by_origin(conn, origin).await?;
        row.as_ref().map(MessageView::of).transpose()
    }

    /// One message.
    pub async fn get(&self, id: BotMessageId) -> Result<Option<MessageView>, StoreError> {
        let row = store::by_id(&mut *self.inner.db.conn().await?, id).await?;
        row.as_ref().map(MessageView::of).transpose()
    }

    /// One job for each message, in its account's lane: one account's trouble never delays another's.
    async fn ask(
        &self,
        conn: &mut Conn,
        id: BotMessageId,
        account: &ZoomAccountId,
        traceparent: Option<&str>,
    ) -> Result<(), StoreError> {
        let job = NewJob {
            kind: BOT_MESSAGE,
            key: &id.to_string(),
            lane: Some(account.as_str()),
            due_at: self.now(),
            traceparent,
        };
        enqueue(conn, &self.inner.ids, job).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.ids.clock().now()
    }
}

impl MessageView {
    pub(crate) fn of(row: &MessageRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id(),
            status: row.state()?.name(),
            to: ToView {
                jid: row.to_jid.clone(),
                account_id: row.account(),
                subject: row.link()?.map(|(_, subject)| subject),
            },
            revision: row.wanted_revision,
            sent_revision: row.sent_revision,
            reason: row.error_class.clone(),
            zoom_message_id: row.zoom_message_id.clone(),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
