//! Zoom's API under `/v2` (platform: API, users/me, rate limits).

mod call;
mod chat;
mod chat_body;
mod chat_error;
mod marketplace;
mod meetings;
mod path;
mod recordings;
mod users;

pub(crate) use call::{ApiError, bearer};
pub(crate) use chat_error::ChatError;
pub(crate) use path::decoded;

use actix_web::web;

/// The routes below `/v2`.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/users/{user}", web::get().to(users::user))
        .route("/users/{user}/recordings", web::get().to(recordings::of_user))
        .route("/users/{user}/meetings", web::get().to(meetings::of_user))
        .route("/meetings/{meeting}", web::get().to(meetings::one))
        .route(
            "/meetings/{meeting}/recordings",
            web::get().to(recordings::of_meeting),
        )
        .route(
            "/meetings/{meeting}/recordings",
            web::delete().to(recordings::delete_all),
        )
        .route(
            "/meetings/{meeting}/recordings/status",
            web::put().to(recordings::recover),
        )
        .route(
            "/meetings/{meeting}/recordings/{file}",
            web::delete().to(recordings::delete_one),
        )
        .route(
            "/meetings/{meeting}/transcript",
            web::get().to(recordings::transcript),
        )
        .route(
            "/marketplace/apps/manifest/validate",
            web::post().to(marketplace::validate),
        )
        .route("/marketplace/apps", web::post().to(marketplace::create))
        .route("/marketplace/apps/{app}", web::get().to(marketplace::info))
        .route("/marketplace/apps/{app}", web::delete().to(marketplace::delete))
        .route(
            "/marketplace/apps/{app}/manifest",
            web::get().to(marketplace::export),
        )
        .route(
            "/marketplace/apps/{app}/manifest",
            web::put().to(marketplace::update),
        )
        .route("/im/chat/messages", web::post().to(chat::send))
        .route("/im/chat/messages/{message}", web::put().to(chat::edit))
        .route("/im/chat/messages/{message}", web::delete().to(chat::delete))
        .route(
            "/im/chat/users/{user}/unfurls/{trigger}",
            web::post().to(chat::unfurl),
        )
        .route("/im/chat/callback/{callback}", web::post().to(chat::callback))
        .default_service(web::to(call::unknown_endpoint));
}
