//! `GET /` and `/install`: which region this is, and where a person begins.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use domicile_region::DirectoryEntry;
use domicile_web::page;
use maud::html;
use url::Url;

use crate::settings::Settings;

/// What the page says.
pub(super) struct StartPage {
    region_name: String,
    start_url: Url,
    /// The other regions, for whoever came to the wrong one.
    others: Vec<DirectoryEntry>,
}

impl StartPage {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            region_name: settings.region.name.clone(),
            start_url: settings.app.start_url.clone(),
            others: settings
                .region
                .directory
                .regions()
                .iter()
                .filter(|entry| entry.id != settings.region.id)
                .cloned()
                .collect(),
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
            @if !this.others.is_empty() {
                h2 { "Your data belongs elsewhere?" }
                p.soft { "Each region is a deployment of its own and shares nothing with this one." }
                ul.list {
                    @for region in &this.others {
                        li { a href=(region.install_url) rel="noreferrer" { (region.name) } }
                    }
                }
            }
        }
    };
    page::respond(StatusCode::OK, &page::layout(&title, &main))
}
