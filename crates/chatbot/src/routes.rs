//! What the app calls to speak as the bot.

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use domicile_kernel::{BotMessageId, Subject, ZoomUserId};
use domicile_store::{Conn, StoreError};
use domicile_web::extract::{AppKey, ProblemJson};
use domicile_web::problem::{Problem, ProblemError};
use domicile_zoom::chat::content::Content;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::error::ChatbotError;
use crate::messages::{Edited, MessageView, Messages, NewMessage};
use crate::metrics::{DONE, METRICS};
use crate::origin::Origin;
use crate::problems::{of_content, of_zoom};
use crate::recipient::{To, check_id, store_problem};
use crate::{sealed, store};

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// The most bytes of an `Idempotency-Key`.
const MAX_KEY_BYTES: usize = 255;

/// The region's bot; none where it has none, which every call says.
pub struct Bot(pub Option<Messages>);

impl Bot {
    fn messages(&self) -> Result<&Messages, ProblemError> {
        self.0.as_ref().ok_or_else(|| Problem::NoBot.into())
    }
}

/// The app listener's part of this room. Needs `web::Data<Bot>` and `web::Data<AppKeys>`.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/v1/bot/messages")
                .name("bot_messages")
                .route(web::post().to(send)),
        )
        .service(
            web::resource("/v1/bot/messages/{id}")
                .name("bot_message")
                .route(web::get().to(get))
                .route(web::put().to(edit))
                .route(web::delete().to(delete)),
        )
        .service(
            web::resource("/v1/bot/unfurls")
                .name("bot_unfurls")
                .route(web::post().to(unfurl)),
        );
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct MessageBody {
    to: To,
    content: Value,
    #[serde(default)]
    markdown: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    visible_to_user: Option<String>,
}

/// `POST /v1/bot/messages`
async fn send(
    key: AppKey,
    bot: web::Data<Bot>,
    request: HttpRequest,
    ProblemJson(body): ProblemJson<MessageBody>,
) -> Result<HttpResponse, ProblemError> {
    let messages = bot.messages()?;
    let idempotency_key = idempotency_key(request.headers())?;
    let content = Content::parse(&body.content).map_err(of_content)?;
    check_id("reply_to", body.reply_to.as_deref())?;
    check_id("visible_to_user", body.visible_to_user.as_deref())?;
    let asked = serde_json::to_value(&body).map_err(ProblemError::internal)?;
    let origin = match &idempotency_key {
        Some(idempotency_key) => Origin::api(key.name(), idempotency_key),
        None => Origin::request(messages.inner.ids.make()),
    };
    // A repetition is answered before its recipient is looked for, who may be gone by now.
    if idempotency_key.is_some()
        && let Some(view) = repeated(messages, &origin, &asked).await?
    {
        return Ok(accepted(&view));
    }
    let resolved = {
        let mut conn = messages.inner.db.conn().await.map_err(store_problem)?;
        messages
            .resolve(&mut conn, &body.to, body.reply_to, body.visible_to_user)
            .await?
    };
    let new = NewMessage {
        origin: origin.clone(),
        account: resolved.account,
        recipient: resolved.recipient,
        link: resolved.link,
        content,
        markdown: body.markdown,
        callback: None,
        traceparent: domicile_telemetry::current_traceparent(),
    };
    let prepared = messages.prepare_for(new, &asked).await?;
    messages
        .inner
        .db
        .run_tx("bot_message_wanted", async |conn: &mut Conn| {
            messages.write(conn, &prepared).await
        })
        .await
        .map_err(store_problem)?;
    match repeated(messages, &origin, &asked).await? {
        Some(view) => Ok(accepted(&view)),
        None => Err(ProblemError::invalid(
            "to.subject",
            "has no live link in this region",
        )),
    }
}

/// The message of an origin, if there is one and the request is the same.
async fn repeated(
    messages: &Messages,
    origin: &Origin,
    asked: &Value,
) -> Result<Option<MessageView>, ProblemError> {
    let inner = &messages.inner;
    let row = {
        let mut conn = inner.db.conn().await.map_err(store_problem)?;
        store::by_origin(&mut conn, origin).await.map_err(store_problem)?
    };
    let Some(row) = row else {
        return Ok(None);
    };
    let first = sealed::open_digest(&inner.vault, row.id(), &row.request_sealed)
        .await
        .map_err(ChatbotError::from)?;
    if first.expose().as_slice() != sealed::digest(asked) {
        return Err(Problem::IdempotencyKeyReused.into());
    }
    MessageView::of(&row).map(Some).map_err(store_problem)
}

fn accepted(view: &MessageView) -> HttpResponse {
    HttpResponse::Accepted()
        .insert_header((header::LOCATION, format!("/v1/bot/messages/{}", view.id)))
        .json(view)
}

/// Opaque, printable and not too long.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ProblemError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let valid = (1..=MAX_KEY_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !valid || values.next().is_some() {
        return Err(Problem::MalformedRequest.into_error(
            "Idempotency-Key is one text of 1 to 255 printable ASCII characters without spaces.",
        ));
    }
    Ok(Some(text.to_owned()))
}

/// `GET /v1/bot/messages/{id}`
async fn get(_key: AppKey, bot: web::Data<Bot>, id: web::Path<Uuid>) -> Result<HttpResponse, ProblemError> {
    let messages = bot.messages()?;
    match messages
        .get(BotMessageId::from(*id))
        .await
        .map_err(store_problem)?
    {
        Some(view) => Ok(HttpResponse::Ok().json(view)),
        None => Err(unknown()),
    }
}

fn unknown() -> ProblemError {
    Problem::NotFound.into_error("There is no message with this id.")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditBody {
    content: Value,
}

/// `PUT /v1/bot/messages/{id}`
async fn edit(
    _key: AppKey,
    bot: web::Data<Bot>,
    id: web::Path<Uuid>,
    ProblemJson(body): ProblemJson<EditBody>,
) -> Result<HttpResponse, ProblemError> {
    let messages = bot.messages()?;
    let id = BotMessageId::from(*id);
    let content = Content::parse(&body.content).map_err(of_content)?;
    let view = messages
        .get(id)
        .await
        .map_err(store_problem)?
        .ok_or_else(unknown)?;
    let edit = messages.prepare_edit(id, &view.to.account_id, &content).await?;
    let edited = messages
        .inner
        .db
        .run_tx(
            "bot_message_edit_wanted",
            async |conn: &mut Conn| -> Result<Edited, StoreError> { messages.write_edit(conn, &edit).await },
        )
        .await
        .map_err(store_problem)?;
    match edited {
        Edited::Wanted => {
            let view = messages.get(id).await.map_err(store_problem)?.ok_or_else(unknown)?;
            Ok(accepted(&view))
        }
        Edited::Unknown => Err(unknown()),
        Edited::Deleted => Err(Problem::Gone.into_error("The message was taken back.")),
        Edited::NotEditable => Err(Problem::Conflict.into_error(
            "Nobody knows whether or under which name Zoom has this message, so it cannot be changed. Send another.",
        )),
    }
}

/// `DELETE /v1/bot/messages/{id}`
async fn delete(
    _key: AppKey,
    bot: web::Data<Bot>,
    id: web::Path<Uuid>,
) -> Result<HttpResponse, ProblemError> {
    let messages = bot.messages()?;
    let id = BotMessageId::from(*id);
    let found = messages
        .inner
        .db
        .run_tx("bot_message_unwanted", async |conn: &mut Conn| {
            messages.write_delete(conn, id).await
        })
        .await
        .map_err(store_problem)?;
    if !found {
        return Err(unknown());
    }
    let view = messages
        .get(id)
        .await
        .map_err(store_problem)?
        .ok_or_else(unknown)?;
    Ok(accepted(&view))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnfurlBody {
    trigger_id: String,
    user_id: Option<String>,
    subject: Option<Subject>,
    content: Value,
}

/// `POST /v1/bot/unfurls`: Zoom is called at once, since nobody waits for a preview for long, and a repeated one replaces
/// the one before.
async fn unfurl(
    _key: AppKey,
    bot: web::Data<Bot>,
    ProblemJson(body): ProblemJson<UnfurlBody>,
) -> Result<HttpResponse, ProblemError> {
    let messages = bot.messages()?;
    let content = Content::parse(&body.content).map_err(of_content)?;
    check_id("trigger_id", Some(&body.trigger_id))?;
    let user: ZoomUserId = {
        let mut conn = messages.inner.db.conn().await.map_err(store_problem)?;
        messages
            .unfurling_user(&mut conn, body.subject.as_ref(), body.user_id.as_deref())
            .await?
    };
    let answer = messages.inner.api.unfurl(&user, &body.trigger_id, &content).await;
    METRICS.call(
        "unfurl",
        answer
            .as_ref()
            .map_or_else(domicile_zoom::chat::ChatError::class, |()| DONE),
    );
    answer.map_err(of_zoom)?;
    Ok(HttpResponse::NoContent().finish())
}
