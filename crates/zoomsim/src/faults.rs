//! Faults in answers: what an ordered fault puts in place of the right answer, and when.

use std::any::Any;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use chrono::{SecondsFormat, TimeDelta};
use domicile_kernel::Timestamp;
use serde_json::json;

use crate::api::ChatError;
use crate::model::fault::{About, FaultKind, RetryAfterForm, Target};
use crate::oauth::client::TokenError;
use crate::sim::Sim;

/// A second handle on a connection, so that it can be cut before an answer is written.
struct Connection(OwnedFd);

/// Keeps a handle on each new connection.
pub(crate) fn remember_connection(stream: &dyn Any, data: &mut Extensions) {
    if let Some(stream) = stream.downcast_ref::<actix_web::rt::net::TcpStream>()
        && let Ok(handle) = stream.as_fd().try_clone_to_owned()
    {
        data.insert(Connection(handle));
    }
}

fn hang_up(request: &HttpRequest) {
    let handle = request
        .conn_data::<Connection>()
        .and_then(|connection| connection.0.try_clone().ok());
    if let Some(handle) = handle {
        let _ = TcpStream::from(handle).shutdown(Shutdown::Both);
    }
}

/// Carries the operation out, unless a fault was ordered that comes before it or hides its answer.
pub(crate) async fn around(
    sim: &Sim,
    request: &HttpRequest,
    target: Target,
    about: &About<'_>,
    operate: impl AsyncFnOnce() -> HttpResponse,
) -> HttpResponse {
    let fault = sim.take_fault(target, about);
    with(sim, request, target, fault, operate).await
}

/// The same with a fault that was taken already.
pub(crate) async fn with(
    sim: &Sim,
    request: &HttpRequest,
    target: Target,
    fault: Option<FaultKind>,
    operate: impl AsyncFnOnce() -> HttpResponse,
) -> HttpResponse {
    let Some(fault) = fault else {
        return operate().await;
    };
    tracing::info!(?target, ?fault, "an ordered fault strikes");
    match &fault {
        FaultKind::Slow { millis } => {
            let answer = operate().await;
            sim.wait(Duration::from_millis(*millis)).await;
            answer
        }
        FaultKind::LostAnswer => {
            let answer = operate().await;
            hang_up(request);
            answer
        }
        FaultKind::HangUp => {
            hang_up(request);
            HttpResponse::NoContent().finish()
        }
        _ => match instead(&fault, target, sim.now()) {
            Some(answer) => answer,
            None => operate().await,
        },
    }
}

/// The answer that stands in place of the right one, where the fault is of that kind.
fn instead(fault: &FaultKind, target: Target, now: Timestamp) -> Option<HttpResponse> {
    let api = |status: StatusCode, code: u16, message: &str| {
        HttpResponse::build(status).json(json!({ "code": code, "message": message }))
    };
    Some(match fault {
        FaultKind::RateLimited { retry_after, seconds } => rate_limited(*retry_after, *seconds, now),
        FaultKind::Unauthorized if target == Target::Token => TokenError::INVALID_CLIENT.response(),
        FaultKind::InvalidGrant => TokenError::DEAD_TOKEN.response(),
        FaultKind::InvalidGrantCode { code } => HttpResponse::BadRequest()
            .json(json!({ "error": TokenError::DEAD_TOKEN.error, "reason": "Invalid Token!", "code": code })),
        FaultKind::Unauthorized if target.is_chat() => ChatError::INVALID_TOKEN.response(),
        FaultKind::Forbidden if target.is_chat() => ChatError::NOT_AUTHORIZED.response(),
        FaultKind::NotFound if target == Target::ChatUnfurl => ChatError::NO_UNFURL.response(),
        FaultKind::NotFound if target.is_chat() => ChatError::NO_MESSAGE.response(),
        FaultKind::Unauthorized => api(StatusCode::UNAUTHORIZED, 124, "Invalid access token."),
        FaultKind::Forbidden => api(StatusCode::FORBIDDEN, 200, "No permission."),
        FaultKind::NotFound => api(StatusCode::NOT_FOUND, 3301, "This recording does not exist."),
        FaultKind::ServerError { status } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            api(status, 500, "Internal server error.")
        }
        FaultKind::HtmlPage => HttpResponse::Ok()
            .content_type("text/html;charset=utf-8")
            .body(HOST_ONLY_PAGE),
        FaultKind::Redirected { to } => HttpResponse::Found()
            .insert_header((LOCATION, to.as_str()))
            .finish(),
        _ => return None,
    })
}

const HOST_ONLY_PAGE: &str = "<!DOCTYPE html><html><head><title>Error - Zoom</title></head><body>\
    <h1>Only the host can download this recording</h1></body></html>";

fn rate_limited(form: RetryAfterForm, seconds: u32, now: Timestamp) -> HttpResponse {
    let until = now + TimeDelta::seconds(i64::from(seconds));
    let retry_after = match form {
        RetryAfterForm::None => None,
        RetryAfterForm::Seconds => Some(seconds.to_string()),
        RetryAfterForm::HttpDate => Some(until.format("%a, %d %b %Y %H:%M:%S GMT").to_string()),
        RetryAfterForm::IsoDateTime => Some(until.to_rfc3339_opts(SecondsFormat::Secs, true)),
    };
    let (kind, message) = match form {
        RetryAfterForm::None => (
            "QPS",
            "You have reached the maximum per-second rate limit for this API. Try again later.",
        ),
        _ => (
            "Daily-limit",
            "You have reached the maximum daily rate limit for this API. Refer to the response header for details on \
             when you can make another request.",
        ),
    };
    let mut answer: HttpResponseBuilder = HttpResponse::TooManyRequests();
    if let Some(value) = retry_after {
        answer.insert_header((RETRY_AFTER, value));
    }
    answer
        .insert_header(("X-RateLimit-Type", kind))
        .insert_header(("X-RateLimit-Remaining", "0"))
        .json(json!({ "code": 429, "message": message }))
}
