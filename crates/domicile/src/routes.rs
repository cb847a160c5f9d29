//! Every URL, grouped by caller: the one list.

mod openapi;
mod ops;
mod start_page;

use actix_web::web::{self, ServiceConfig};
use domicile_chatbot::routes::Bot;
use domicile_intake::Endpoint;
use domicile_telemetry::Telemetry;
use domicile_web::extract::{self, ZoomEndpointVerifier};
use domicile_web::guard::{Guard, Listener};
use domicile_zoom::authorization::RequiredHeader;
use domicile_zoom::signature::WebhookSecrets;

use std::sync::Arc;

use crate::region::Region;
use crate::server::Draining;
use crate::settings::BotSettings;

pub use openapi::document as openapi_document;

/// The guard around the public listener: requests for another host go no further.
pub fn public_guard(region: &Region) -> Guard {
    Guard::for_host(
        Listener::Public,
        region.ids.clone(),
        &region.settings.http.public_url,
    )
}

/// The guard around the app listener, which the app's backend may call by any of its names.
pub fn app_guard(region: &Region) -> Guard {
    Guard::new(Listener::App, region.ids.clone())
}

/// The guard around the ops listener.
pub fn ops_guard(region: &Region) -> Guard {
    Guard::new(Listener::Ops, region.ids.clone())
}

/// Zoom and browsers: `GET /`, `/install`, `/connect/{session}`, `/oauth/callback`, `POST /zoom/events`, and where the bot
/// is on `POST /zoom/bot`.
pub fn public(config: &mut ServiceConfig, region: &Region) {
    // Each worker writes what it took in itself, without a word to another thread. Zoom's routes come first, because the
    // router asks one after another.
    let intake = web::Data::new(region.intake.on_this_thread());
    config
        .configure(extract::configure)
        .service(domicile_intake::routes::endpoint(
            Endpoint::Events,
            web::Data::new(events_verifier(region).admission(intake.clone().into_inner())),
            intake.clone(),
        ));
    if let Some(bot) = &region.settings.bot {
        config.service(domicile_intake::routes::endpoint(
            Endpoint::Bot,
            web::Data::new(bot_verifier(region, bot).admission(intake.clone().into_inner())),
            intake,
        ));
    }
    config
        .app_data(web::Data::new(region.linking.clone()))
        .app_data(web::Data::new(start_page::StartPage::of(&region.settings)))
        .configure(start_page::configure)
        .configure(domicile_linking::routes::configure_public);
}

fn events_verifier(region: &Region) -> ZoomEndpointVerifier {
    let zoom = &region.settings.zoom;
    verifier(
        region,
        Endpoint::Events,
        &zoom.webhook_secrets,
        zoom.required_header.as_ref(),
    )
}

fn bot_verifier(region: &Region, bot: &BotSettings) -> ZoomEndpointVerifier {
    verifier(
        region,
        Endpoint::Bot,
        &bot.webhook_secrets,
        bot.required_header.as_ref(),
    )
}

fn verifier(
    region: &Region,
    endpoint: Endpoint,
    secrets: &WebhookSecrets,
    required_header: Option<&RequiredHeader>,
) -> ZoomEndpointVerifier {
    let receiving = region.settings.receiving;
    ZoomEndpointVerifier::new(endpoint.as_str(), secrets.clone(), Arc::clone(region.ids.clock()))
        .required_header(required_header.cloned())
        .window(receiving.window)
        .body_limit(receiving.body_limit_bytes)
        .body_time(receiving.body_timeout)
        .budget(region.zoom_bodies.clone())
}

/// The app's backend, by API key: `/v1/...`; and without one what describes it: `/v1/openapi.json`.
pub fn app(config: &mut ServiceConfig, region: &Region) {
    let settings = &region.settings;
    let keys = settings
        .app
        .api_keys
        .clone()
        .of_region(settings.region.id.clone());
    config
        .app_data(web::Data::new(keys))
        .app_data(web::Data::new(region.linking.clone()))
        .app_data(web::Data::new(region.library.clone()))
        .app_data(web::Data::new(region.delivery.clone()))
        .app_data(web::Data::new(Bot(region.bot.clone())))
        .configure(extract::configure)
        .configure(domicile_linking::routes::configure_app)
        .configure(domicile_linking::routes::configure_admissions)
        .configure(domicile_linking::routes::configure_audit)
        .configure(domicile_linking::routes::configure_zoom_calls)
        .configure(domicile_recordings::routes::configure)
        .configure(domicile_delivery::routes::configure)
        .configure(domicile_chatbot::routes::configure)
        .configure(openapi::configure);
}

/// The cluster: `/livez`, `/readyz`, `/metrics`.
pub fn ops(config: &mut ServiceConfig, region: &Region, telemetry: &Arc<Telemetry>, draining: &Draining) {
    config
        .app_data(web::Data::new(region.db.clone()))
        .app_data(web::Data::from(Arc::clone(telemetry)))
        .app_data(web::Data::new(draining.clone()))
        .configure(ops::configure);
}
