//! The frame of every page: one style sheet, inlined, for light and dark, phone and desktop.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");

/// A whole page.
pub(crate) fn page(title: &str, content: &Markup) -> HttpResponse {
    page_with(StatusCode::OK, title, content)
}

/// A whole page with this status.
pub(crate) fn page_with(status: StatusCode, title: &str, content: &Markup) -> HttpResponse {
    whole(status, title, None, content)
}

/// A whole page with a script of the simulator's own, which may ask the simulator and nobody else.
pub(crate) fn scripted_page(title: &str, script: &str, content: &Markup) -> HttpResponse {
    whole(StatusCode::OK, title, Some(script), content)
}

/// A part of a page that is there already.
pub(crate) fn fragment(content: &Markup) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", "default-src 'none'"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("cache-control", "no-store"))
        .body(content.0.clone())
}

fn whole(status: StatusCode, title: &str, script: Option<&str>, content: &Markup) -> HttpResponse {
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · zoomsim" }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
                @if let Some(script) = script { script src=(script) defer {} }
            }
            body { (content) }
        }
    };
    let scripts = if script.is_some() {
        " script-src 'self'; connect-src 'self';"
    } else {
        ""
    };
    let policy = format!(
        "default-src 'none';{scripts} style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
    );
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", policy))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("cache-control", "no-store"))
        .body(text.into_string())
}
