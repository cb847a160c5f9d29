//! The desk's forms: each does one operation and goes back to the desk with a note.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use chrono::TimeDelta;
use maud::{Markup, html};
use serde::Deserialize;

use crate::control::{ControlError, FileSelection};
use crate::model::fault::{FaultKind, NewFault, RetryAfterForm, Target};
use crate::model::meeting::{FileKind, NewFile, NewMeeting, NewRecording};
use crate::model::user::NewUser;
use crate::model::webhook::WebhookDelivery;
use crate::sim::Sim;

/// The faults of the desk's list; the control API has all of them, with their targets narrowed.
pub(crate) const FAULTS: &[(&str, (Target, FaultKind))] = &[
    (
        "event: delivered twice",
        (Target::Webhook, FaultKind::DuplicateDelivery { fresh_urls: true }),
    ),
    (
        "event: then other bytes for the same file",
        (Target::Webhook, FaultKind::DifferentBody),
    ),
    (
        "event: 25 hours late",
        (Target::Webhook, FaultKind::LateDelivery { seconds: 90_000 }),
    ),
    ("event: lost", (Target::Webhook, FaultKind::LostDelivery)),
    (
        "download: HTML page with status 200",
        (Target::Download, FaultKind::HtmlPage),
    ),
    ("download: 401", (Target::Download, FaultKind::Unauthorized)),
    ("download: 404", (Target::Download, FaultKind::NotFound)),
    (
        "download: body cut short",
        (
            Target::Media,
            FaultKind::Truncated {
                at_bytes: 1_000,
                content_length: true,
            },
        ),
    ),
    (
        "download: shorter body, no length",
        (
            Target::Media,
            FaultKind::Truncated {
                at_bytes: 1_000,
                content_length: false,
            },
        ),
    ),
    (
        "download: no Content-Length",
        (Target::Media, FaultKind::NoContentLength),
    ),
    (
        "download: 503",
        (Target::Media, FaultKind::ServerError { status: 503 }),
    ),
    (
        "recordings API: 429 per second",
        (Target::MeetingRecordings, limited(RetryAfterForm::None)),
    ),
    (
        "recordings API: 429 with seconds",
        (Target::MeetingRecordings, limited(RetryAfterForm::Seconds)),
    ),
    (
        "recordings API: 429 with HTTP date",
        (Target::MeetingRecordings, limited(RetryAfterForm::HttpDate)),
    ),
    (
        "recordings API: 429 with ISO date-time",
        (Target::MeetingRecordings, limited(RetryAfterForm::IsoDateTime)),
    ),
    (
        "recordings API: 404 / 3301",
        (Target::MeetingRecordings, FaultKind::NotFound),
    ),
    (
        "users API: 500",
        (Target::Users, FaultKind::ServerError { status: 500 }),
    ),
    (
        "token: answer lost after rotation",
        (Target::Token, FaultKind::LostAnswer),
    ),
    (
        "token: 5 seconds slow",
        (Target::Token, FaultKind::Slow { millis: 5_000 }),
    ),
    (
        "bot's message: 429 with seconds",
        (Target::ChatSend, limited(RetryAfterForm::Seconds)),
    ),
    (
        "bot's message: 401 / 7010",
        (Target::ChatSend, FaultKind::Unauthorized),
    ),
    (
        "bot's message: sent, answer lost",
        (Target::ChatSend, FaultKind::LostAnswer),
    ),
    (
        "bot's edit: 500",
        (Target::ChatChange, FaultKind::ServerError { status: 500 }),
    ),
    ("token: invalid_grant", (Target::Token, FaultKind::InvalidGrant)),
];

const fn limited(retry_after: RetryAfterForm) -> FaultKind {
    FaultKind::RateLimited {
        retry_after,
        seconds: 60,
    }
}

/// The routes of the forms.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/desk/users", web::post().to(create_user))
        .route("/desk/recordings", web::post().to(create_recording))
        .route("/desk/faults", web::post().to(order_fault))
        .route("/desk/faults/cancel", web::post().to(cancel_fault))
        .route("/desk/deauthorize", web::post().to(deauthorize))
        .route("/desk/validate", web::post().to(validate))
        .route("/desk/retry-now", web::post().to(retry_now))
        .route("/desk/advance", web::post().to(advance))
        .route(
            "/desk/{change:finish|finish-transcript|trash|recover|delete}",
            web::post().to(change),
        );
}

/// A form that is one button.
pub(crate) fn button(action: &str, text: &str, fields: &[(&str, &str)]) -> Markup {
    html! {
        form method="post" action=(action) {
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button { (text) }
        }
    }
}

/// Back to the desk, which shows the note.
fn back(note: &str) -> HttpResponse {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("note", note)
        .finish();
    HttpResponse::SeeOther()
        .insert_header((LOCATION, format!("/?{query}")))
        .finish()
}

fn told(done: Result<String, ControlError>) -> HttpResponse {
    match done {
        Ok(note) => back(&note),
        Err(error) => back(&format!("That did not work: {error}.")),
    }
}

fn sent(rows: &[WebhookDelivery]) -> String {
    match rows.len() {
        0 => "Done. No event was sent: no app that this user authorised subscribed to it.".to_owned(),
        1 => "Done. One event was sent.".to_owned(),
        many => format!("Done. {many} events were sent."),
    }
}

#[derive(Deserialize)]
struct UserForm {
    first_name: String,
    last_name: String,
    account_id: String,
}

async fn create_user(sim: web::Data<Sim>, form: web::Form<UserForm>) -> HttpResponse {
    let form = form.into_inner();
    let made = sim.create_user(NewUser {
        first_name: Some(form.first_name),
        last_name: Some(form.last_name),
        account_id: Some(form.account_id).filter(|text| !text.is_empty()),
        ..NewUser::default()
    });
    told(made.map(|user| format!("{} was made.", user.display_name())))
}

#[derive(Deserialize)]
struct RecordingForm {
    host_id: String,
    topic: String,
    kib: u32,
}

async fn create_recording(sim: web::Data<Sim>, form: web::Form<RecordingForm>) -> HttpResponse {
    let form = form.into_inner();
    let file = |kind, size_bytes| NewFile {
        seed: None,
        ..NewFile::new(kind, size_bytes, 0)
    };
    let made = sim.create_recording(NewRecording {
        meeting: Some(NewMeeting {
            host_id: form.host_id,
            topic: Some(form.topic),
            ..NewMeeting::default()
        }),
        files: vec![
            file(FileKind::Mp4, u64::from(form.kib) * 1024),
            file(FileKind::M4a, 64 * 1024),
            file(FileKind::Chat, 2 * 1024),
            file(FileKind::Transcript, 8 * 1024),
        ],
        ..NewRecording::default()
    });
    told(made.map(|meeting| {
        format!(
            "“{}” is being recorded. Finish it to send recording.completed.",
            meeting.topic
        )
    }))
}

#[derive(Deserialize)]
struct Uuid {
    uuid: String,
}

async fn change(sim: web::Data<Sim>, path: web::Path<String>, form: web::Form<Uuid>) -> HttpResponse {
    let all = FileSelection::default();
    let rows = match path.as_str() {
        "finish" => sim.finish_recording(&form.uuid, &all).await,
        "finish-transcript" => sim.finish_transcript(&form.uuid, &all).await,
        "trash" => sim.trash_files(&form.uuid, &all).await,
        "recover" => sim.recover_files(&form.uuid, &all).await,
        _ => sim.delete_files(&form.uuid, &all).await,
    };
    told(rows.map(|rows| sent(&rows)))
}

#[derive(Deserialize)]
struct FaultForm {
    fault: usize,
    times: u32,
}

async fn order_fault(sim: web::Data<Sim>, form: web::Form<FaultForm>) -> HttpResponse {
    let Some((name, (target, fault))) = FAULTS.get(form.fault) else {
        return back("There is no such fault.");
    };
    let order = NewFault::once(*target, fault.clone()).times(form.times);
    told(sim.order_fault(order).map(|_| format!("Ordered: {name}.")))
}

#[derive(Deserialize)]
struct Number {
    id: u64,
}

async fn cancel_fault(sim: web::Data<Sim>, form: web::Form<Number>) -> HttpResponse {
    told(
        sim.cancel_fault(form.id)
            .map(|()| "The fault was cancelled.".to_owned()),
    )
}

#[derive(Deserialize)]
struct Install {
    client_id: String,
    user_id: String,
}

async fn deauthorize(sim: web::Data<Sim>, form: web::Form<Install>) -> HttpResponse {
    told(
        sim.deauthorize(&form.client_id, &form.user_id)
            .await
            .map(|rows| sent(&rows)),
    )
}

#[derive(Deserialize)]
struct Text {
    id: String,
}

async fn validate(sim: web::Data<Sim>, form: web::Form<Text>) -> HttpResponse {
    told(
        sim.validate_subscription(&form.id)
            .await
            .map(|_| "The subscription is enabled again.".to_owned()),
    )
}

async fn retry_now(sim: web::Data<Sim>) -> HttpResponse {
    let done = sim.retry_now().await;
    back(&format!("{} waiting events were sent.", done.attempts))
}

#[derive(Deserialize)]
struct Seconds {
    seconds: u32,
}

async fn advance(sim: web::Data<Sim>, form: web::Form<Seconds>) -> HttpResponse {
    let done = sim.advance(TimeDelta::seconds(i64::from(form.seconds))).await;
    back(&format!(
        "The clock was moved; {} events were sent.",
        done.attempts
    ))
}
