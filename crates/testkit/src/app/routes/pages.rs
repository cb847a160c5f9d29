//! Pages that show something.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::super::state::Shared;
use super::super::view::{self, Tab};
use super::{SignedIn, member_page, see_other, trouble};

/// Which page of a list.
#[derive(Deserialize)]
pub(super) struct ListQuery {
    cursor: Option<String>,
}

pub(super) async fn start(request: HttpRequest, app: web::Data<Shared>) -> HttpResponse {
    let signed_in = SignedIn::of(&request, &app).is_some();
    see_other(if signed_in { "/recordings" } else { "/sign-in" })
}

pub(super) async fn settings(request: HttpRequest, app: web::Data<Shared>) -> HttpResponse {
    let Some(who) = SignedIn::of(&request, &app) else {
        return see_other("/sign-in");
    };
    let links = app.backend.links(&who.user.subject).await;
    let body = view::settings(&who.user, &app.region_name, &links, &who.session.form_token);
    member_page(&app, &who, Tab::Settings, "Settings", &body)
}

pub(super) async fn recordings(
    request: HttpRequest,
    query: web::Query<ListQuery>,
    app: web::Data<Shared>,
) -> HttpResponse {
    let Some(who) = SignedIn::of(&request, &app) else {
        return see_other("/sign-in");
    };
    let list = app
        .backend
        .recordings(&who.user.subject, query.cursor.as_deref())
        .await;
    let body = view::recordings(&list, query.cursor.is_some());
    member_page(&app, &who, Tab::Recordings, "Recordings", &body)
}

pub(super) async fn recording(
    request: HttpRequest,
    path: web::Path<String>,
    app: web::Data<Shared>,
) -> HttpResponse {
    let Some(who) = SignedIn::of(&request, &app) else {
        return see_other("/sign-in");
    };
    match app.backend.recording(&path, &who.user.subject).await {
        Ok(Some(recording)) => {
            let title = view::title_of(&recording);
            member_page(&app, &who, Tab::Recordings, title, &view::recording(&recording))
        }
        Ok(None) => not_found(request, app).await,
        Err(failure) => {
            let text = failure.to_string();
            let title = "The recording cannot be shown now";
            trouble(&app, &request, HttpResponse::BadGateway(), title, &text)
        }
    }
}

pub(super) async fn events(request: HttpRequest, app: web::Data<Shared>) -> HttpResponse {
    let Some(who) = SignedIn::of(&request, &app) else {
        return see_other("/sign-in");
    };
    let body = view::events(&app.inbox.of(&who.user.subject));
    member_page(&app, &who, Tab::Events, "Events", &body)
}

/// The same list for programs: what was signed, and the signature.
pub(super) async fn events_json(request: HttpRequest, app: web::Data<Shared>) -> HttpResponse {
    match SignedIn::of(&request, &app) {
        Some(who) => HttpResponse::Ok().json(app.inbox.of(&who.user.subject)),
        None => HttpResponse::Unauthorized().body("Sign in first."),
    }
}

pub(super) async fn not_found(request: HttpRequest, app: web::Data<Shared>) -> HttpResponse {
    let text = "Nothing of yours is at this address.";
    trouble(&app, &request, HttpResponse::NotFound(), "Not found", text)
}
