//! Signing in and out. A real app asks for a password; what counts here is that two users are told apart.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use url::form_urlencoded;

use super::super::session::Session;
use super::super::state::Shared;
use super::super::view;
use super::connect::Return;
use super::{SignedIn, add_cookie, good, page, renew_session_token, see_other, stale_form};

/// What the sign-in form sends.
#[derive(Deserialize)]
pub(super) struct Choice {
    user: String,
    form_token: String,
    ticket: Option<String>,
    link_id: Option<String>,
}

/// A form with nothing but the button.
#[derive(Deserialize)]
pub(super) struct Button {
    pub(super) form_token: String,
}

pub(super) async fn show(request: HttpRequest, app: web::Data<Shared>) -> HttpResponse {
    if SignedIn::of(&request, &app).is_some() {
        return see_other("/recordings");
    }
    ask(&request, &app, &Return::default())
}

/// The sign-in page; what came from the region is kept in its form.
pub(super) fn ask(request: &HttpRequest, app: &Shared, returned: &Return) -> HttpResponse {
    let session = visitor(request, app);
    let flash = app.sessions.take_flash(&session);
    let frame = view::Frame {
        title: "Sign in",
        region_name: &app.region_name,
        member: None,
        flash: flash.as_ref(),
    };
    let body = view::sign_in(&app.users, &session.form_token, &returned.fields());
    let mut response = page(app, HttpResponse::Ok(), view::frame(&frame, &body));
    set_cookie(&mut response, app, &session);
    response
}

pub(super) async fn enter(
    request: HttpRequest,
    form: web::Form<Choice>,
    app: web::Data<Shared>,
) -> HttpResponse {
    let session = app.sessions.of(&request);
    let index = app.users.iter().position(|user| user.id == form.user);
    let (Some(session), Some(index)) = (session, index) else {
        return stale_form(&app, &request);
    };
    if session.form_token != form.form_token {
        return stale_form(&app, &request);
    }
    let session = app.sessions.begin(Some(&session), Some(index));
    let form = form.into_inner();
    let returned = Return {
        ticket: form.ticket,
        link_id: form.link_id,
    };
    let mut response = match returned.fields().as_slice() {
        [] => see_other("/recordings"),
        fields => {
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(fields)
                .finish();
            see_other(&format!("/zoom/return?{query}"))
        }
    };
    set_cookie(&mut response, &app, &session);
    if let Some(user) = app.users.get(index) {
        renew_session_token(&mut response, &app, user);
    }
    response
}

pub(super) async fn leave(
    request: HttpRequest,
    form: web::Form<Button>,
    app: web::Data<Shared>,
) -> HttpResponse {
    let Some(who) = SignedIn::of(&request, &app) else {
        return see_other("/sign-in");
    };
    if who.session.form_token != form.form_token {
        return stale_form(&app, &request);
    }
    let session = app.sessions.begin(Some(&who.session), None);
    app.sessions
        .tell(&session, good("You are signed out", "See you soon."));
    let mut response = see_other("/sign-in");
    set_cookie(&mut response, &app, &session);
    if let Some(issuer) = &app.session_issuer {
        add_cookie(&mut response, &issuer.clear_cookie());
    }
    response
}

/// The session of somebody who is not signed in: its form token ties the sign-in form to this browser.
fn visitor(request: &HttpRequest, app: &Shared) -> Session {
    app.sessions
        .of(request)
        .filter(|session| session.user.is_none())
        .unwrap_or_else(|| app.sessions.begin(None, None))
}

fn set_cookie(response: &mut HttpResponse, app: &Shared, session: &Session) {
    add_cookie(response, &app.sessions.set_cookie(session));
}
