//! `POST /domicile/events`: signed events of the region.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use domicile_kernel::Clock;
use http::HeaderMap;
use serde_json::Value;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError,
};

use super::inbox::{Kept, ReceivedEvent};
use super::state::Shared;

/// The receiver's path.
pub(super) const PATH: &str = "/domicile/events";

/// Events hold ids and names, never media.
pub(super) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// How old, or how far ahead, a signature may be, in seconds: the `standardwebhooks` crate's own limit.
const TOLERANCE_SECONDS: i64 = 5 * 60;

/// Verifies events by the Standard Webhooks scheme.
pub(super) struct Verifier {
    secrets: Vec<Webhook>,
    clock: Option<Arc<dyn Clock>>,
}

impl Verifier {
    pub(super) fn new(secrets: Vec<Webhook>, clock: Option<Arc<dyn Clock>>) -> Self {
        Self { secrets, clock }
    }

    /// True when one of the secrets signed this body under these headers, a short while ago.
    fn accepts(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let accepted = |secret: &Webhook| match &self.clock {
            None => secret.verify(body, headers).is_ok(),
            Some(clock) => verify_at(secret, clock.as_ref(), headers, body).unwrap_or(false),
        };
        self.secrets.iter().any(accepted)
    }
}

/// What `Webhook::verify` does, by another clock than the computer's: only tests have one.
fn verify_at(
    secret: &Webhook,
    clock: &dyn Clock,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<bool, WebhookError> {
    let text = |name: &'static str| {
        let value = headers.get(name).ok_or(WebhookError::MissingHeader(name))?;
        value.to_str().map_err(|_| WebhookError::InvalidHeader(name))
    };
    let timestamp: i64 = text(HEADER_WEBHOOK_TIMESTAMP)?
        .parse()
        .map_err(|_| WebhookError::InvalidTimestamp)?;
    let expected = secret.sign(text(HEADER_WEBHOOK_ID)?, timestamp, body)?;
    let age = clock.now().timestamp().abs_diff(timestamp);
    let signed = text(HEADER_WEBHOOK_SIGNATURE)?
        .split(' ')
        .any(|it| it == expected);
    Ok(signed && age <= TOLERANCE_SECONDS.unsigned_abs())
}

/// What is said to the bot is answered in the response.
fn answered(answer: Option<Value>) -> HttpResponse {
    match answer {
        Some(answer) => HttpResponse::Ok().json(answer),
        None => HttpResponse::NoContent().finish(),
    }
}

/// Takes an event: 204 when it is kept (also when it was before), 401 when the signature is not good.
pub(super) async fn take(request: HttpRequest, body: web::Bytes, app: web::Data<Shared>) -> HttpResponse {
    let names = [
        HEADER_WEBHOOK_ID,
        HEADER_WEBHOOK_TIMESTAMP,
        HEADER_WEBHOOK_SIGNATURE,
    ];
    let values = names.map(|name| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    });
    let mut headers = HeaderMap::new();
    for (name, value) in names.into_iter().zip(&values) {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    }
    let text = std::str::from_utf8(&body).ok();
    let (Some(text), true) = (text, app.verifier.accepts(&headers, &body)) else {
        app.inbox.count_refused();
        tracing::warn!("an event with a bad signature was refused");
        return HttpResponse::Unauthorized().body("The signature of this event is not good.");
    };
    let [webhook_id, webhook_timestamp, webhook_signature] = values;
    let event = ReceivedEvent {
        webhook_id,
        webhook_timestamp,
        webhook_signature,
        body: text.to_owned(),
        received_at: app.clock.now(),
        duplicates: 0,
    };
    let (id, kind) = (event.webhook_id.clone(), event.event_type());
    let answer = app.talk.answer(&event);
    app.talk.go_on().await;
    match app.inbox.keep(event) {
        Ok(Kept::First) => {
            tracing::info!(event_id = id, event_type = kind, "event kept");
            answered(answer)
        }
        Ok(Kept::Again) => {
            tracing::info!(event_id = id, "event delivered again");
            answered(answer)
        }
        Ok(Kept::Failed) => HttpResponse::ServiceUnavailable().body("Told to fail."),
        Err(error) => {
            tracing::error!(%error, "an event could not be written");
            HttpResponse::ServiceUnavailable().body("The event could not be kept.")
        }
    }
}
