//! The control API under `/control`: every operation of [`Sim`] as JSON over HTTP.

mod chat;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use bytes::Bytes;
use chrono::TimeDelta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::decoded;
use crate::control::{ConsentOrder, ControlError, FileSelection};
use crate::model::user::UserStatus;
use crate::sim::Sim;

type Answer = Result<HttpResponse, ControlError>;

impl ResponseError for ControlError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::UnknownApp
            | Self::UnknownUser
            | Self::UnknownMeeting
            | Self::UnknownFile
            | Self::UnknownSubscription
            | Self::UnknownBot
            | Self::UnknownChannel
            | Self::UnknownMessage
            | Self::UnknownDelivery
            | Self::UnknownFault => StatusCode::NOT_FOUND,
            Self::Taken(_) => StatusCode::CONFLICT,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Challenge(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).json(json!({ "error": self.to_string() }))
    }
}

/// The routes below `/control`.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .configure(chat::routes)
        .route("/apps", web::get().to(apps))
        .route("/apps", web::post().to(create_app))
        .route("/apps/{id}", web::get().to(app))
        .route("/apps/{id}", web::delete().to(delete_app))
        .route("/apps/{id}/manifest", web::get().to(manifest))
        .route("/apps/{id}/manifest", web::patch().to(edit_manifest))
        .route("/apps/{id}/publish", web::post().to(publish))
        .route("/apps/{id}/unpublish", web::post().to(unpublish))
        .route("/apps/{id}/subscriptions", web::post().to(add_subscription))
        .route(
            "/subscriptions/{id}/validate",
            web::post().to(validate_subscription),
        )
        .route("/subscriptions/{id}", web::delete().to(delete_subscription))
        .route("/grants", web::get().to(grants))
        .route("/consent", web::post().to(consent))
        .route("/deauthorize", web::post().to(deauthorize))
        .route("/users", web::get().to(users))
        .route("/users", web::post().to(create_user))
        .route("/users/{id}", web::get().to(user))
        .route("/users/{id}/status", web::post().to(set_user_status))
        .route("/meetings", web::get().to(meetings))
        .route("/meetings", web::post().to(create_meeting))
        .route("/meetings/{id}", web::get().to(meeting))
        .route("/recordings", web::post().to(create_recording))
        .route("/recordings/{id}/files", web::get().to(digests))
        .route("/recordings/{id}/{change}", web::post().to(change_recording))
        .route("/files/{id}", web::get().to(digest))
        .route("/events", web::post().to(send_event))
        .route("/faults", web::get().to(faults))
        .route("/faults", web::post().to(order_fault))
        .route("/faults", web::delete().to(cancel_all_faults))
        .route("/faults/{id}", web::delete().to(cancel_fault))
        .route("/webhooks", web::get().to(webhooks))
        .route("/webhooks/run-due", web::post().to(run_due))
        .route("/webhooks/retry-now", web::post().to(retry_now))
        .route("/clock", web::get().to(clock))
        .route("/clock/advance", web::post().to(advance))
        .route("/reset", web::post().to(reset))
        .default_service(web::to(unknown));
}

/// The body as JSON, whatever its content type says; nothing at all means the defaults.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ControlError> {
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(bytes)
        .map_err(|error| ControlError::Invalid(format!("the body does not fit: {error}")))
}

fn id(request: &HttpRequest) -> String {
    decoded(request.match_info().query("id")).0
}

#[expect(clippy::unnecessary_wraps, reason = "handlers end with it")]
fn ok(value: impl Serialize) -> Answer {
    Ok(HttpResponse::Ok().json(value))
}

#[expect(clippy::unnecessary_wraps, reason = "handlers end with it")]
fn created(value: impl Serialize) -> Answer {
    Ok(HttpResponse::Created().json(value))
}

#[expect(clippy::unnecessary_wraps, reason = "handlers end with it")]
fn done() -> Answer {
    Ok(HttpResponse::NoContent().finish())
}

async fn unknown() -> HttpResponse {
    HttpResponse::NotFound()
        .json(json!({ "error": "the control API has no such path or method; see the README" }))
}

async fn apps(sim: web::Data<Sim>) -> Answer {
    ok(sim.apps())
}

async fn create_app(sim: web::Data<Sim>, bytes: Bytes) -> Answer {
    created(sim.create_app(body(&bytes)?).await?)
}

async fn app(sim: web::Data<Sim>, request: HttpRequest) -> Answer {
    ok(sim.app(&id(&request))?)
}

async fn delete_app(sim: web::Data<Sim>, request: HttpRequest) -> Answer {
    sim.delete_app(&id(&request))?;
    done()
}

async fn manifest(sim: web::Data<Sim>, request: HttpRequest) -> Answer {
    ok(sim.manifest(&id(&request))?)
}

async fn edit_manifest(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> Answer {
    let patch: serde_json::Value = body(&bytes)?;
    ok(sim.edit_manifest(&id(&request), &patch).await?)
}

async fn publish(sim: web::Data<Sim>, request: HttpRequest) -> Answer {
    ok(sim.set_published(&id(&request), true).await?)
}

async fn unpublish(sim: web::Data<Sim>, request: HttpRequest) -> Answer {
    ok(sim.set_published(&id(&request), false).await?)
}

async fn add_subscription(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> Answer {
    created(sim.add_subscription(&id(&request), body(&bytes)?).await?)
}

async fn validate_subscription(sim: web::Data<Sim>, request: HttpRequest) -> Answer {
    ok(sim.validate_subscription(&id(&request)).await?)
}

async fn delete_subscription(sim: web::Data<Sim>, request: HttpRequest) -> Answer {
    sim.delete_subscription(&id(&request))?;
    done()
}

async fn grants(sim: web::Data<Sim>) -> Answer {
    ok(sim.grants())
}

async fn consent(sim: web::Data<Sim>, bytes: Bytes) -> Answer {
    let order: ConsentOrder = body(&bytes)?;
    ok(json!({ "redirect_to": sim.consent(&order)? }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deauthorize {
    client_id: String,
    user_id: String,
}

async fn deauthorize(sim: web::Data<Sim>, bytes: Bytes) -> Answer {
    let order: Deauthorize = body(&bytes)?;
    ok(sim.deauthorize(&order.client_id, &order.user_id).await?)
}

async fn users(sim: web::Data<Sim>) -> Answer {
    ok(sim.users())
}

async fn create_user(sim: web::Data<Sim>, bytes: Bytes) -> Answer {
    created(sim.create_user(body(&bytes)?)?)
}

async fn user(sim: web::Data<Sim>, request: HttpRequest) -> Answer {
    ok(sim.user(&id(&request))?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetStatus {
    status: UserStatus,
}

async fn set_user_status(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> Answer {
    let order: SetStatus = body(&bytes)?;
    ok(sim.set_user_status(&id(&request), order.status).await?)
}

async fn meetings(sim: web::Data<Sim>) -> Answer {
    ok(sim.meetings())
}

async fn create_meeting(sim: web::Data<Sim>, bytes: Bytes) -> Answer {
    created(sim.create_meeting(body(&bytes)?)?)
}

async fn meeting(sim: web::Data<Sim>, request: HttpRequest) -> Answer {
    ok(sim.meeting(&id(&request))?)
}

async fn create_recording(sim: web::Data<Sim>, bytes: Bytes) -> Answer {
    created(sim.create_recording(body(&bytes)?)?)
}

async fn change_recording(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> Answer {
    let (uuid, selection) = (id(&request), body::<FileSelection>(&bytes)?);
    ok(match request.match_info().query("change") {
        "finish" => sim.finish_recording(&uuid, &selection).await?,
        "finish-transcript" => sim.finish_transcript(&uuid, &selection).await?,
        "trash" => sim.trash_files(&uuid, &selection).await?,
        "delete" => sim.delete_files(&uuid, &selection).await?,
        "recover" => sim.recover_files(&uuid, &selection).await?,
        _ => return Ok(unknown().await),
    })
}

async fn digests(sim: web::Data<Sim>, request: HttpRequest) -> Answer {
    ok(sim.digests(&id(&request)).await?)
}

#[derive(Deserialize)]
struct Version {
    variant: Option<u32>,
}

async fn digest(sim: web::Data<Sim>, request: HttpRequest, version: web::Query<Version>) -> Answer {
    ok(sim.digest(&id(&request), version.variant).await?)
}

async fn send_event(sim: web::Data<Sim>, bytes: Bytes) -> Answer {
    ok(sim.send_event(body(&bytes)?).await?)
}

async fn faults(sim: web::Data<Sim>) -> Answer {
    ok(sim.faults())
}

async fn order_fault(sim: web::Data<Sim>, bytes: Bytes) -> Answer {
    created(sim.order_fault(body(&bytes)?)?)
}

async fn cancel_all_faults(sim: web::Data<Sim>) -> Answer {
    sim.cancel_all_faults();
    done()
}

async fn cancel_fault(sim: web::Data<Sim>, request: HttpRequest) -> Answer {
    sim.cancel_fault(id(&request).parse().map_err(|_| ControlError::UnknownFault)?)?;
    done()
}

#[derive(Deserialize)]
struct LogFilter {
    event: Option<String>,
    client_id: Option<String>,
}

async fn webhooks(sim: web::Data<Sim>, filter: web::Query<LogFilter>) -> Answer {
    let mut log = sim.webhook_log();
    log.retain(|row| {
        filter.event.as_ref().is_none_or(|event| row.event == *event)
            && filter
                .client_id
                .as_ref()
                .is_none_or(|client_id| row.client_id == *client_id)
    });
    ok(log)
}

async fn run_due(sim: web::Data<Sim>) -> Answer {
    ok(sim.run_due().await)
}

async fn retry_now(sim: web::Data<Sim>) -> Answer {
    ok(sim.retry_now().await)
}

async fn clock(sim: web::Data<Sim>) -> Answer {
    ok(json!({ "now": sim.time() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u32,
}

async fn advance(sim: web::Data<Sim>, bytes: Bytes) -> Answer {
    let order: Advance = body(&bytes)?;
    let done = sim.advance(TimeDelta::seconds(i64::from(order.seconds))).await;
    ok(json!({ "now": sim.time(), "attempts": done.attempts, "challenges": done.challenges }))
}

async fn reset(sim: web::Data<Sim>) -> Answer {
    sim.reset();
    done()
}
