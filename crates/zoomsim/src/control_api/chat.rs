//! The control API's part of Team Chat.

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde::Deserialize;

use super::{Answer, body, created, done, id, ok};
use crate::control::{Act, ControlError, Say};
use crate::model::chat::Place;
use crate::sim::Sim;

/// The routes below `/control`.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/apps/{id}/bot", web::post().to(set_bot))
        .route("/apps/{id}/bot", web::delete().to(remove_bot))
        .route("/apps/{id}/bot/install", web::post().to(install))
        .route("/apps/{id}/bot/uninstall", web::post().to(uninstall))
        .route("/apps/{id}/bot/mention", web::post().to(mention))
        .route("/channels", web::get().to(channels))
        .route("/channels", web::post().to(create_channel))
        .route("/channels/{id}", web::get().to(channel))
        .route("/channels/{id}/members", web::post().to(add_members))
        .route("/chat/say", web::post().to(say))
        .route("/chat/messages", web::get().to(messages))
        .route("/chat/messages/{id}/act", web::post().to(act))
        .route("/webhooks/{id}/redeliver", web::post().to(redeliver));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Who {
    user_id: String,
}

async fn set_bot(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> Answer {
    created(sim.set_bot(&id(&request), body(&bytes)?).await?)
}

async fn remove_bot(sim: web::Data<Sim>, request: HttpRequest) -> Answer {
    sim.remove_bot(&id(&request))?;
    done()
}

async fn install(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> Answer {
    let who: Who = body(&bytes)?;
    ok(sim.install_bot(&id(&request), &who.user_id).await?)
}

async fn uninstall(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> Answer {
    let who: Who = body(&bytes)?;
    ok(sim.deauthorize(&id(&request), &who.user_id).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mention {
    user_id: String,
    channel_id: String,
    text: String,
}

async fn mention(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> Answer {
    let order: Mention = body(&bytes)?;
    let client_id = id(&request);
    ok(sim
        .mention(&client_id, &order.user_id, &order.channel_id, &order.text)
        .await?)
}

async fn channels(sim: web::Data<Sim>) -> Answer {
    ok(sim.channels())
}

async fn create_channel(sim: web::Data<Sim>, bytes: Bytes) -> Answer {
    created(sim.create_channel(body(&bytes)?)?)
}

async fn channel(sim: web::Data<Sim>, request: HttpRequest) -> Answer {
    ok(sim.channel(&id(&request))?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    user_ids: Vec<String>,
}

async fn add_members(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> Answer {
    let order: Members = body(&bytes)?;
    ok(sim.add_members(&id(&request), &order.user_ids)?)
}

async fn say(sim: web::Data<Sim>, bytes: Bytes) -> Answer {
    let order: Say = body(&bytes)?;
    ok(sim.say(order).await?)
}

/// One of the first three, and whose view it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Where {
    channel: Option<String>,
    bot: Option<String>,
    user: Option<String>,
    user_id: Option<String>,
}

async fn messages(sim: web::Data<Sim>, query: web::Query<Where>) -> Answer {
    let query = query.into_inner();
    let place = match (query.channel, query.bot, query.user) {
        (Some(id), None, None) => Place::Channel(id),
        (None, Some(id), None) => Place::Bot(id),
        (None, None, Some(id)) => Place::User(id),
        _ => {
            let text = "name one of channel, bot and user";
            return Err(ControlError::Invalid(text.to_owned()));
        }
    };
    ok(sim.chat_messages(&place, query.user_id.as_deref()))
}

#[derive(Deserialize)]
struct Acting {
    user_id: String,
    #[serde(flatten)]
    act: Act,
}

async fn act(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> Answer {
    let order: Acting = body(&bytes)?;
    ok(sim.act(&order.user_id, &id(&request), order.act).await?)
}

async fn redeliver(sim: web::Data<Sim>, request: HttpRequest) -> Result<HttpResponse, ControlError> {
    let row = id(&request).parse().map_err(|_| ControlError::UnknownDelivery)?;
    ok(sim.redeliver(row).await?)
}
