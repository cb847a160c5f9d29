//! `GET /` and `/install`: which region this is, and where a person begins.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use domicile_web::page;
use maud::html;
use url::Url;

use crate::settings::Settings;

/// What the page says.
pub(super) struct StartPage {
    region_name: String,
    start_url: Url,
}

impl StartPage {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            region_name: settings.region.name.clone(),
            start_url: settings.app.start_url.clone(),
        }
    }
}

pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/").name("start").route(web::get().to(show)))
        .service(
            web::resource("/install")
                .name("install")
                .route(web::get().to(show)),
        );
}

async fn show(this: web::Data<StartPage>) -> HttpResponse {
    let title = format!("Connect Zoom in {}", this.region_name);
    let main = html! {
        article.card {
            p.kicker { "Region" }
            h1 { (title) }
            p.lead { "What is connected here stays here: your Zoom data is kept in this region alone." }
            p { "Sign in to the application first. There you choose “Connect Zoom”, so that your Zoom account is connected to you and to nobody else." }
            p.actions { a.button href=(this.start_url) rel="noreferrer" { "Go to the application" } }
        }
    };
    page::respond(StatusCode::OK, &page::layout(&title, &main))
}
