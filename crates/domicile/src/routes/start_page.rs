//! `GET /` and `/install`: which region this is, which others there are, and where a person begins. And the file by which Zoom
//! knows that the domain is ours.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};
use domicile_region::DirectoryEntry;
use domicile_web::page;
use domicile_web::problem::{Problem, ProblemError};
use maud::{Markup, html};
use url::Url;

use crate::settings::Settings;

/// What the page says. It is the same for every visitor: nothing is suggested by address, remembered or carried along.
pub(super) struct StartPage {
    region_name: String,
    start_url: Url,
    /// Every region in the directory's order; this one too.
    regions: Vec<Place>,
    domain_proof: Option<String>,
}

/// A region as a card.
enum Place {
    /// The region that serves the page.
    Here { name: String, host: Option<String> },
    /// Another one, with its own install page.
    There(DirectoryEntry),
}

impl StartPage {
    pub(super) fn of(settings: &Settings) -> Self {
        let region = &settings.region;
        let here = |name: &str| Place::Here {
            name: name.to_owned(),
            host: settings.http.public_url.host_str().map(str::to_owned),
        };
        let mut regions: Vec<_> = region
            .directory
            .regions()
            .iter()
            .map(|entry| {
                if entry.id == region.id {
                    here(&entry.name)
                } else {
                    Place::There(entry.clone())
                }
            })
            .collect();
        if !regions.iter().any(|place| matches!(place, Place::Here { .. })) {
            regions.insert(0, here(&region.name));
        }
        Self {
            region_name: region.name.clone(),
            start_url: settings.app.start_url.clone(),
            regions,
            domain_proof: settings.zoom.domain_proof.clone(),
        }
    }

    fn markup(&self) -> Markup {
        html! {
            section.hero {
                p.kicker { "Connect Zoom in the region" }
                h1 { (self.region_name) }
                p.lead {
                    "Choosing a region decides where your Zoom data is kept: it is stored and processed in that region alone, and no
                     other region ever sees it."
                }
            }
            ul.places {
                @for place in &self.regions {
                    li.card.place.here[matches!(place, Place::Here { .. })] { (self.card(place)) }
                }
            }
            section.fine {
                h2 { "Which region is mine?" }
                p {
                    "The one that your organisation agreed on with your provider. If you do not know it, ask your administrator: a
                     Zoom account is connected in one region, and its data does not move on its own."
                }
            }
        }
    }

    fn card(&self, place: &Place) -> Markup {
        match place {
            Place::Here { name, host } => html! {
                p { span.badge { "This region" } }
                h2 { (name) }
                @if let Some(host) = host { p.soft { (host) } }
                p { "Sign in to the application and choose “Connect Zoom” there, so that your Zoom account is connected to you and to nobody else." }
                p.actions { a.button href=(self.start_url) rel="noreferrer" { "Go to the application" } }
            },
            Place::There(entry) => html! {
                p { span.badge.plain { "Another region" } }
                h2 { (entry.name) }
                @if let Some(host) = entry.install_url.host_str() { p.soft { (host) } }
                p { "A deployment of its own, which shares nothing with this one." }
                p.actions {
                    a.button.quiet href=(entry.install_url) rel="noreferrer" { "Go to " (entry.name) }
                }
            },
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
        )
        .service(
            web::resource("/zoomverify/verifyzoom.html")
                .name("domain_proof")
                .route(web::get().to(prove_domain)),
        );
}

async fn show(this: web::Data<StartPage>) -> HttpResponse {
    let title = format!("Connect Zoom: {}", this.region_name);
    page::respond(StatusCode::OK, &page::wide_layout(&title, &this.markup()))
}

/// Zoom Marketplace, "Domain validation": the content of the file that Zoom gives for the domain.
async fn prove_domain(this: web::Data<StartPage>) -> Result<HttpResponse, ProblemError> {
    let proof = this
        .domain_proof
        .as_ref()
        .ok_or_else(|| ProblemError::new(Problem::NotFound))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .body(proof.clone()))
}
