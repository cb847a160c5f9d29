//! The pages and what their forms do.

mod connect;
mod disconnect;
mod pages;
mod playback;
mod sign_in;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use maud::Markup;

use super::session::{Flash, Offer, Session};
use super::settings::AppUser;
use super::state::Shared;
use super::{receiver, session_token, view};

/// Every route of the app.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(pages::start))
        .route("/sign-in", web::get().to(sign_in::show))
        .route("/sign-in", web::post().to(sign_in::enter))
        .route("/sign-out", web::post().to(sign_in::leave))
        .route("/settings", web::get().to(pages::settings))
        .route("/zoom/connect", web::post().to(connect::begin))
        .route("/zoom/disconnect", web::post().to(disconnect::end))
        .route("/zoom/return", web::get().to(connect::finish))
        .route("/recordings", web::get().to(pages::recordings))
        .route("/recordings/{id}", web::get().to(pages::recording))
        .route("/recordings/{id}/files/{file_id}", web::get().to(playback::file))
        .route("/events", web::get().to(pages::events))
        .route("/events.json", web::get().to(pages::events_json))
        .route(
            "/app.css",
            web::get().to(async || asset("text/css; charset=utf-8", view::STYLE)),
        )
        .route(
            "/icon.svg",
            web::get().to(async || asset("image/svg+xml", view::ICON)),
        )
        .route("/healthz", web::get().to(HttpResponse::NoContent))
        .route(receiver::PATH, web::post().to(receiver::take))
        .route(session_token::JWKS_PATH, web::get().to(jwks))
        .default_service(web::to(pages::not_found));
}

/// A request of somebody who is signed in.
struct SignedIn {
    session: Session,
    user: AppUser,
}

impl SignedIn {
    fn of(request: &HttpRequest, app: &Shared) -> Option<Self> {
        let session = app.sessions.of(request)?;
        let user = app.users.get(session.user?)?.clone();
        Some(Self { session, user })
    }
}

/// A page of this app.
fn page(app: &Shared, mut builder: HttpResponseBuilder, markup: Markup) -> HttpResponse {
    builder
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, app.content_policy.as_str()))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        // What one user saw is not shown to the next one by the browser's "back".
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(markup.into_string())
}

/// The page of a signed-in user, with the message that waits for her.
fn member_page(app: &Shared, who: &SignedIn, tab: view::Tab, title: &str, body: &Markup) -> HttpResponse {
    let flash = app.sessions.take_flash(&who.session);
    let frame = view::Frame {
        title,
        region_name: &app.region_name,
        member: Some(view::Member {
            name: &who.user.name,
            tab,
            form_token: &who.session.form_token,
        }),
        flash: flash.as_ref(),
    };
    let mut response = page(app, HttpResponse::Ok(), view::frame(&frame, body));
    renew_session_token(&mut response, app, &who.user);
    response
}

/// Gives the browser a fresh session token, where the region knows users by it.
fn renew_session_token(response: &mut HttpResponse, app: &Shared, user: &AppUser) {
    if let Some(issuer) = &app.session_issuer {
        add_cookie(response, &issuer.set_cookie(&user.subject));
    }
}

fn add_cookie(response: &mut HttpResponse, set_cookie: &str) {
    if let Ok(value) = set_cookie.parse() {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// The keys of the session tokens, for the region.
async fn jwks(app: web::Data<Shared>) -> HttpResponse {
    match &app.session_issuer {
        Some(issuer) => HttpResponse::Ok()
            .content_type("application/jwk-set+json")
            .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
            .body(issuer.jwks().to_string()),
        None => HttpResponse::NotFound().body("This app's sessions are no JWTs."),
    }
}

/// A page that says what went wrong, with its status.
fn trouble(
    app: &Shared,
    request: &HttpRequest,
    builder: HttpResponseBuilder,
    title: &str,
    text: &str,
) -> HttpResponse {
    let who = SignedIn::of(request, app);
    let frame = view::Frame {
        title,
        region_name: &app.region_name,
        member: who.as_ref().map(|who| view::Member {
            name: &who.user.name,
            tab: view::Tab::None,
            form_token: &who.session.form_token,
        }),
        flash: None,
    };
    page(app, builder, view::frame(&frame, &view::trouble(title, text)))
}

/// Leads the browser to a page of this app or, from "Connect Zoom", to the region.
fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

fn good(title: &str, text: impl Into<String>) -> Flash {
    Flash {
        good: true,
        title: title.to_owned(),
        text: text.into(),
        offer: None,
    }
}

fn bad(title: &str, text: impl Into<String>) -> Flash {
    Flash {
        good: false,
        title: title.to_owned(),
        text: text.into(),
        offer: None,
    }
}

fn offering(offer: Offer, flash: Flash) -> Flash {
    Flash {
        offer: Some(offer),
        ..flash
    }
}

/// The page for a form that does not belong to the session it came with.
fn stale_form(app: &Shared, request: &HttpRequest) -> HttpResponse {
    let text = "It was opened before you signed in or out, or it came from another site. Go back, reload the page and \
                try again.";
    trouble(
        app,
        request,
        HttpResponse::Forbidden(),
        "That form is out of date",
        text,
    )
}

fn asset(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(text)
}
