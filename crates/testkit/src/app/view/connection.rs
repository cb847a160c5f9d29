//! The settings page: what is connected, and the buttons that change it.

use maud::{Markup, html};

use super::super::backend::{Failure, Link, MissingScope, Page};
use super::super::settings::AppUser;
use super::{badge, form_token, records};

/// Zoom's connection and its buttons.
pub(in super::super) fn settings(
    user: &AppUser,
    region_name: &str,
    links: &Result<Page<Link>, Failure>,
    token: &str,
) -> Markup {
    html! {
        h1 { "Settings" }
        section.card aria-labelledby="zoom" {
            div.head {
                h2 #zoom { "Zoom" }
                @match links {
                    Ok(page) if page.data.iter().any(Link::is_active) => { (badge("connected", "good")) }
                    Ok(page) if page.data.iter().any(Link::needs_reauthorization) => {
                        (badge("asks for your consent again", "warn"))
                    }
                    Ok(_) => { (badge("not connected", "plain")) }
                    Err(_) => { (badge("unknown", "warn")) }
                }
            }
            p { "When a cloud recording of yours is ready at Zoom, it is brought into storage in " strong { (region_name) } " and appears here." }
            @match links {
                Ok(page) => {
                    @for link in page.data.iter().filter(|link| link.is_live()) { (connection(link, token)) }
                    @if !page.data.iter().any(Link::is_live) { (connect(token, "Connect Zoom", "primary")) }
                }
                Err(failure) => {
                    p.note role="alert" { (failure) }
                    (connect(token, "Connect Zoom", "primary"))
                }
            }
        }
        section.card aria-labelledby="you" {
            div.head { h2 #you { "You" } }
            dl.facts {
                div { dt { "Name" } dd { (user.name) } }
                div { dt { "Subject" } dd { code { (user.subject) } } }
            }
        }
    }
}

/// One live link with what can be done about it.
fn connection(link: &Link, token: &str) -> Markup {
    html! {
        (facts(link))
        @if !link.missing_scopes.is_empty() { (missing(&link.missing_scopes)) }
        div.actions {
            @if link.needs_reauthorization() {
                (connect(token, "Reconnect", "primary"))
            } @else {
                (connect(token, "Connect again", "plain"))
            }
            form method="post" action="/zoom/disconnect" {
                (form_token(token))
                input type="hidden" name="link_id" value=(link.id);
                button.plain type="submit" { "Disconnect" }
            }
        }
    }
}

fn connect(token: &str, words: &str, class: &str) -> Markup {
    html! {
        form method="post" action="/zoom/connect" {
            (form_token(token))
            button class=(class) type="submit" { (words) }
        }
    }
}

fn facts(link: &Link) -> Markup {
    html! {
        dl.facts {
            div { dt { "Status" } dd { (link.status.replace('_', " ")) } }
            @if let Some(reason) = &link.reauthorization_reason {
                div { dt { "Reason" } dd { (reason.replace('_', " ")) } }
            }
            @if let Some(id) = &link.zoom.user_id { div { dt { "Zoom user" } dd { code { (id) } } } }
            @if let Some(id) = &link.zoom.account_id { div { dt { "Zoom account" } dd { code { (id) } } } }
            @if !link.created_at.is_empty() { div { dt { "Since" } dd { (records::when(&link.created_at)) } } }
            div { dt { "Link" } dd { code { (link.id) } } }
        }
    }
}

fn missing(scopes: &[MissingScope]) -> Markup {
    html! {
        div.note role="note" {
            strong { "You did not allow everything. Without it:" }
            ul {
                @for missing in scopes {
                    li {
                        @if let Some(disables) = &missing.disables { (disables) " · " }
                        code { (missing.scope) }
                    }
                }
            }
        }
    }
}
