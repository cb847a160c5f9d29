//! What the app answers in its response to an event: `{"reply": {...}}`.

use domicile_kernel::{EventId, Secret};
use domicile_leases::JobError;
use domicile_store::{Conn, NewEvent, StoreError};
use domicile_vault::{KeyScope, Place as SealedPlace};
use domicile_zoom::chat::content::{Content, ContentFault};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::{info, warn};
use url::Url;

use super::cards::Cards;
use super::hearing::{CALLBACK_LIFE, link_of, open_callback};
use super::metrics::METRICS;
use super::{Listening, mailbox, telling};
use crate::error::ChatbotError;
use crate::messages::{Callback, Edited, NewMessage, PreparedEdit, PreparedMessage, Recipient};
use crate::origin::Origin;
use crate::store::{self, Turn};

/// The longest text of a reply without a card.
const MAX_TEXT_CHARACTERS: usize = 4096;

/// An answer of the app's, checked and sealed, ready to be kept.
pub struct Reply {
    event: EventId,
    what: What,
}

enum What {
    Say(PreparedMessage),
    /// Changes the message that was acted on; if that is not possible any more, says it anew.
    Replace(PreparedEdit, PreparedMessage),
    /// The app is told what is wrong with it.
    Refuse(NewEvent),
}

/// `reply`: one of `content`, `text` and `connect_url`, and how it is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// A card.
    content: Option<Value>,
    /// A text without a card.
    text: Option<String>,
    /// A connect session of this region, shown to the speaker alone as a card.
    connect_url: Option<String>,
    /// Whether texts are Markdown.
    #[serde(default)]
    markdown: bool,
    /// Whether the message that was acted on becomes this one.
    #[serde(default)]
    replace: bool,
    /// Whether the speaker alone is told, also where it was said in a channel.
    #[serde(default)]
    private: bool,
}

/// What is wrong with a reply: members and why.
type Faults = Vec<(String, String)>;

impl Listening {
    /// Whether the app may answer events of this type in its response.
    pub fn reads_answers_to(event_type: &str) -> bool {
        telling::is_answerable(event_type)
    }

    /// Reads the app's answer to an event; nothing where it asks for nothing. An answer that is no JSON object, or one
    /// without `reply`, asks for nothing; one that cannot be said becomes an event `bot.reply_refused`.
    pub async fn reply(&self, event: EventId, answer: &[u8]) -> Result<Option<Reply>, JobError> {
        let Ok(Value::Object(mut answer)) = serde_json::from_slice::<Value>(answer) else {
            return Ok(None);
        };
        let Some(reply) = answer.remove("reply").filter(|reply| !reply.is_null()) else {
            return Ok(None);
        };
        let turn = {
            let mut conn = self.inner.db.conn().await?;
            store::turn(&mut conn, event).await.map_err(ChatbotError::from)?
        };
        let Some(turn) = turn else {
            METRICS.reply("too_late");
            warn!(event.id = %event, "the app answered an event that cannot be answered any more");
            return Ok(None);
        };
        let what = match self.checked(reply) {
            Ok((body, content)) => self.say(&turn, &body, content).await?,
            Err(faults) => self.refuse(&turn, &faults).await?,
        };
        Ok(Some(Reply { event, what }))
    }

    /// Keeps a reply in the caller's transaction; a second one to the same event says nothing.
    pub async fn keep(&self, conn: &mut Conn, reply: &Reply) -> Result<(), StoreError> {
        let messages = &self.inner.messages;
        match &reply.what {
            What::Say(message) => {
                messages.write(conn, message).await?;
                METRICS.reply("taken");
            }
            What::Replace(edit, message) => {
                if messages.write_edit(conn, edit).await? != Edited::Wanted {
                    messages.write(conn, message).await?;
                }
                METRICS.reply("taken");
            }
            What::Refuse(event) => {
                self.inner.outbox.write(conn, event.clone()).await?;
                METRICS.reply("refused");
            }
        }
        info!(event.id = %reply.event, "the app answered what was said to the bot");
        Ok(())
    }

    fn checked(&self, reply: Value) -> Result<(Body, Content), Faults> {
        // serde's own message names members and kinds; the values of wrong kinds that it quotes are the app's own.
        let body: Body = serde_json::from_value(reply)
            .map_err(|error| vec![("reply".to_owned(), format!("cannot be read: {error}"))])?;
        let one = |field: &str, why: &str| vec![(format!("reply.{field}"), why.to_owned())];
        let content = match (&body.content, &body.text, &body.connect_url) {
            (Some(content), None, None) => Content::parse(content).map_err(|faults| told(&faults))?,
            (None, Some(text), None) => {
                if text.trim().is_empty() {
                    return Err(one("text", "says nothing"));
                }
                if text.chars().count() > MAX_TEXT_CHARACTERS {
                    return Err(one("text", "is longer than 4096 characters"));
                }
                Cards::plain(text).map_err(|_| one("text", "cannot be said"))?
            }
            (None, None, Some(url)) => {
                let url = self.connect_url(url).ok_or_else(|| {
                    one(
                        "connect_url",
                        "is not a connect_url that this region gave for a connect session",
                    )
                })?;
                Cards(&self.inner.settings)
                    .connect(&super::Standing::Unlinked, Some(&url))
                    .map_err(|_| one("connect_url", "cannot be said"))?
            }
            _ => {
                return Err(vec![(
                    "reply".to_owned(),
                    "needs one of content, text and connect_url".to_owned(),
                )]);
            }
        };
        Ok((body, content))
    }

    /// The URL, if it is that of a connect session of this region: a card must not lead people elsewhere in its name.
    fn connect_url(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        let ours = &self.inner.settings.public_url;
        let same = url.origin() == ours.origin() && url.username().is_empty() && url.password().is_none();
        (same && url.path().starts_with("/connect/")).then_some(url)
    }

    async fn say(&self, turn: &Turn, body: &Body, content: Content) -> Result<What, JobError> {
        let inner = &self.inner;
        let (link, about) = {
            let mut conn = inner.db.conn().await?;
            let standing = inner
                .speakers
                .standing(&mut conn, &turn.account, turn.user.as_ref())
                .await
                .map_err(ChatbotError::from)?;
            let about = match &turn.zoom_message_id {
                Some(id) if body.replace => store::message_of(&mut conn, &turn.account, id)
                    .await
                    .map_err(ChatbotError::from)?,
                _ => None,
            };
            (link_of(&standing), about)
        };
        // Whoever has the link of a session can begin it, so it is for one pair of eyes.
        let private = body.private || body.connect_url.is_some();
        let to_jid = match &turn.user_jid {
            Some(user_jid) if private => user_jid.clone(),
            _ => turn.to_jid.clone(),
        };
        let callback = if private { None } else { self.callback(turn).await? };
        let message = inner
            .messages
            .prepare(NewMessage {
                origin: Origin::reply(turn.event_id),
                account: turn.account.clone(),
                recipient: Recipient {
                    to_jid,
                    user_jid: turn.user_jid.clone(),
                    reply_to: turn.reply_to.clone().filter(|_| !private),
                    visible_to_user: None,
                },
                link,
                content: content.clone(),
                markdown: body.markdown,
                callback,
                traceparent: domicile_telemetry::current_traceparent(),
            })
            .await?;
        Ok(match about {
            Some(about) => {
                let edit = inner
                    .messages
                    .prepare_edit(about, &turn.account, &content)
                    .await?;
                What::Replace(edit, message)
            }
            None => What::Say(message),
        })
    }

    async fn callback(&self, turn: &Turn) -> Result<Option<Callback>, ChatbotError> {
        let Some((sealed, end)) = &turn.callback else {
            return Ok(None);
        };
        let Some(said_at) = end
            .checked_sub_signed(CALLBACK_LIFE)
            .filter(|_| *end > self.now())
        else {
            return Ok(None);
        };
        let (url, token): (String, Secret<String>) = open_callback(self, turn.event_id, sealed).await?;
        Ok(self.inner.messages.callback(&url, token, said_at))
    }

    async fn refuse(&self, turn: &Turn, faults: &Faults) -> Result<What, JobError> {
        let inner = &self.inner;
        let subject = {
            let mut conn = inner.db.conn().await?;
            let standing = inner
                .speakers
                .standing(&mut conn, &turn.account, turn.user.as_ref())
                .await
                .map_err(ChatbotError::from)?;
            link_of(&standing).map(|(_, subject)| subject)
        };
        let key = inner
            .vault
            .key(&KeyScope::Account(turn.account.clone()))
            .await
            .map_err(ChatbotError::from)?;
        let id: EventId = inner.ids.make();
        let faults: Vec<Value> = faults
            .iter()
            .map(|(field, fault)| json!({ "field": field, "detail": fault }))
            .collect();
        let data = json!({ "reply_to": turn.event_id, "errors": faults }).to_string();
        Ok(What::Refuse(NewEvent {
            id,
            mailbox: mailbox(&turn.account, turn.user.as_ref()),
            event_type: "bot.reply_refused",
            version: telling::VERSION,
            subject,
            account: Some(turn.account.clone()),
            occurred_at: self.now(),
            data_sealed: key
                .seal(SealedPlace::new("events", "data_sealed", id), data.as_bytes())
                .map_err(ChatbotError::from)?,
        }))
    }
}

fn told(faults: &[ContentFault]) -> Faults {
    let fault = |fault: &ContentFault| (format!("reply.{}", fault.field), fault.fault.to_string());
    faults.iter().map(fault).collect()
}
