//! Pages: one quiet design for everything a person sees, in light and dark, on phone and desktop.
//!
//! Everything a page needs is in it: no script, no font, no picture from elsewhere. The stylesheet is inlined and allowed
//! by its hash, so pages use its classes and never a `style` attribute.

mod words;

use std::sync::LazyLock;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

pub(crate) use words::words_for;

/// The stylesheet of every page. Classes for others' pages: `card`, `narrow` (on `main`), `lead`, `soft`, `kicker`,
/// `button` and `button quiet`, `actions`, `note` and `note bad`, `badge` and `badge bad`, `list`, `scroll` (around a
/// wide table), `reference`.
pub const STYLESHEET: &str = include_str!("page/style.css");

const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Cpath fill='none' \
stroke='%2314614f' stroke-width='2' stroke-linejoin='round' d='M4 11l8-7 8 7v9H4z'/%3E%3Ccircle cx='12' cy='14' r='2.5' \
fill='%2314614f'/%3E%3C/svg%3E";

static STYLE_SOURCE: LazyLock<String> =
    LazyLock::new(|| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(STYLESHEET))));

static POLICY: LazyLock<String> = LazyLock::new(|| content_security_policy(&[]));

/// The Content-Security-Policy of a page: nothing but its own stylesheet, its own pictures and its own forms. `more` adds
/// directives, such as `media-src 'self'` for a page that plays a recording.
pub fn content_security_policy(more: &[&str]) -> String {
    let style = STYLE_SOURCE.as_str();
    let mut policy = format!(
        "default-src 'none'; style-src {style}; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    for directive in more {
        policy.push_str("; ");
        policy.push_str(directive);
    }
    policy
}

/// The policy of a page that needs nothing more.
pub(crate) fn policy() -> &'static str {
    &POLICY
}

/// A whole page. `title` is also the tab's text; `main` is what goes into the `main` element.
pub fn layout(title: &str, main: &Markup) -> Markup {
    layout_of(title, "narrow", main)
}

/// A whole page for tables and lists, wider than [`layout`].
pub fn wide_layout(title: &str, main: &Markup) -> Markup {
    layout_of(title, "wide", main)
}

fn layout_of(title: &str, class: &str, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex, nofollow";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLESHEET)) }
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header class={ "top " (class) } {
                    svg viewBox="0 0 24 24" aria-hidden="true" focusable="false" {
                        path fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round" d="M4 11l8-7 8 7v9H4z" {}
                        circle cx="12" cy="14" r="2.5" fill="currentColor" {}
                    }
                    span { "Zoom connection" }
                }
                main #main class=(class) tabindex="-1" { (main) }
            }
        }
    }
}

/// An answer with this page, its policy and `no-store`.
pub fn respond(status: StatusCode, page: &Markup) -> HttpResponse {
    write(&mut HttpResponse::build(status), page)
}

/// The same into an answer that has headers of its own, such as cookies. A policy that is set already stays.
pub fn write(response: &mut HttpResponseBuilder, page: &Markup) -> HttpResponse {
    let mut response = response
        .content_type("text/html; charset=utf-8")
        .body(page.0.clone());
    let headers = response.headers_mut();
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY)
        && let Ok(policy) = header::HeaderValue::from_str(policy())
    {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(
            header::CACHE_CONTROL,
            header::HeaderValue::from_static("no-store"),
        );
    }
    response
}

/// A page that tells what happened, what the reader can do, and the reference id to give to support. All three are text
/// and escaped.
pub fn error_page(
    status: StatusCode,
    title: &str,
    happened: &str,
    cure: &str,
    reference: Option<&str>,
) -> HttpResponse {
    respond(status, &error_markup(title, happened, cure, reference))
}

/// The page of [`error_page`], for an answer that is built by hand.
pub fn error_markup(title: &str, happened: &str, cure: &str, reference: Option<&str>) -> Markup {
    let main = html! {
        article.card {
            h1 { (title) }
            p.lead { (happened) }
            h2 { "What you can do" }
            p { (cure) }
            @if let Some(reference) = reference {
                p.reference { "If you ask for help, give this reference: " code { (reference) } }
            }
        }
    };
    layout(title, &main)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_policy_allows_exactly_the_stylesheet_that_is_in_the_page() {
        let page = layout("Title", &html! { p { "x" } }).into_string();
        let style = page
            .split_once("<style>")
            .and_then(|(_, rest)| rest.split_once("</style>"))
            .unwrap()
            .0;
        let hash = STANDARD.encode(Sha256::digest(style));
        assert_eq!(
            policy(),
            format!(
                "default-src 'none'; style-src 'sha256-{hash}'; img-src 'self' data:; form-action 'self'; \
                 base-uri 'none'; frame-ancestors 'none'"
            )
        );
        assert!(content_security_policy(&["media-src 'self'"]).ends_with("; media-src 'self'"));
    }

    #[test]
    fn a_page_brings_everything_along() {
        let page = error_markup("Title", "happened", "cure", Some("ref")).into_string();
        assert!(!STYLESHEET.contains("url(") && !STYLESHEET.contains("@import"));
        for forbidden in [
            "<script",
            "src=\"http",
            "style=\"",
            "<link rel=\"stylesheet\"",
            "onload",
        ] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        for needed in [
            "<html lang=\"en\">",
            "name=\"viewport\"",
            "<h1>Title</h1>",
            "<main id=\"main\"",
            "<code>ref</code>",
        ] {
            assert!(page.contains(needed), "{needed}");
        }
    }

    proptest! {
        #[test]
        fn text_never_becomes_markup(text in "[<>\"'&a-z ]{1,40}") {
            let clean = error_markup("T", "x", "x", Some("x")).into_string();
            let page = error_markup("T", &text, &text, Some(&text)).into_string();
            prop_assert_eq!(page.matches('<').count(), clean.matches('<').count());
        }
    }
}
