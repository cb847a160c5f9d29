//! The pages: Zoom's consent page, and the simulator's own desk. HTML without outside resources and, but for
//! the chat's refresh, without scripts.

mod chat;
mod chat_card;
pub(crate) mod consent;
mod desk;
mod desk_forms;
mod frame;
mod log;

use actix_web::web;

/// The desk, its forms and the stand-in for the Marketplace.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(desk::show))
        .route("/log", web::get().to(log::show))
        .route(
            "/marketplace/{client_id}/add",
            web::get().to(consent::marketplace_add),
        )
        .configure(chat::routes)
        .configure(desk_forms::routes);
}
