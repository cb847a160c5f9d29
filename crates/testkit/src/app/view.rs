//! The pages as HTML.

mod records;

use maud::{DOCTYPE, Markup, html};

use super::backend::{Failure, Link, Page};
use super::session::Flash;
use super::settings::AppUser;

pub(super) use records::{events, recording, recordings, title_of};

/// The one style sheet.
pub(super) const STYLE: &str = include_str!("view/style.css");

/// The icon of the browser's tab.
pub(super) const ICON: &str = include_str!("view/icon.svg");

/// The product that this demo pretends to be.
const PRODUCT: &str = "Minutebook";

/// Where the signed-in user is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Recordings,
    Events,
    Settings,
    None,
}

/// Who is signed in, for the top of the page.
pub(super) struct Member<'a> {
    pub(super) name: &'a str,
    pub(super) tab: Tab,
    pub(super) form_token: &'a str,
}

/// What surrounds every page.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    pub(super) region_name: &'a str,
    pub(super) member: Option<Member<'a>>,
    pub(super) flash: Option<&'a Flash>,
}

/// A whole page.
pub(super) fn frame(frame: &Frame<'_>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (frame.title) " · " (PRODUCT) }
                link rel="stylesheet" href="/app.css";
                link rel="icon" type="image/svg+xml" href="/icon.svg";
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    div.bar {
                        div.home {
                            a.brand href="/" { span.mark aria-hidden="true" { "M" } (PRODUCT) }
                            span.region title="The region that holds this app's data" { (frame.region_name) }
                        }
                        @if let Some(member) = &frame.member { (menu(member)) }
                    }
                }
                main #main {
                    @if let Some(flash) = frame.flash { (message(flash)) }
                    (body)
                }
                footer { "A demo of an app that uses Domicile. It keeps nothing outside this machine." }
            }
        }
    }
}

fn menu(member: &Member<'_>) -> Markup {
    let tabs = [
        (Tab::Recordings, "/recordings", "Recordings"),
        (Tab::Events, "/events", "Events"),
        (Tab::Settings, "/settings", "Settings"),
    ];
    html! {
        nav aria-label="Main" {
            @for (tab, path, name) in tabs {
                a href=(path) aria-current=[(tab == member.tab).then_some("page")] { (name) }
            }
        }
        form.who method="post" action="/sign-out" {
            (form_token(member.form_token))
            span.avatar aria-hidden="true" { (initials(member.name)) }
            span.name { (member.name) }
            button.quiet type="submit" { "Sign out" }
        }
    }
}

fn message(flash: &Flash) -> Markup {
    let (class, role) = if flash.good {
        ("flash good", "status")
    } else {
        ("flash bad", "alert")
    };
    html! {
        div class=(class) role=(role) {
            span.sign aria-hidden="true" { @if flash.good { "✓" } @else { "!" } }
            div {
                strong { (flash.title) }
                p { (flash.text) }
            }
        }
    }
}

fn form_token(token: &str) -> Markup {
    html! { input type="hidden" name="form_token" value=(token); }
}

fn initials(name: &str) -> String {
    name.split(' ')
        .filter_map(|word| word.chars().next())
        .take(2)
        .collect()
}

/// The choice of users.
pub(super) fn sign_in(users: &[AppUser], token: &str, ticket: Option<&str>) -> Markup {
    html! {
        section.narrow {
            h1 { "Who are you?" }
            @if ticket.is_some() {
                p.lead { "Zoom sent you back. Sign in as the person who pressed “Connect Zoom”, and the connection is finished." }
            } @else {
                p.lead { "This demo has two users and no passwords. Each sees only what is hers or his." }
            }
            form.people method="post" action="/sign-in" {
                (form_token(token))
                @if let Some(ticket) = ticket { input type="hidden" name="ticket" value=(ticket); }
                @for user in users {
                    button.person type="submit" name="user" value=(user.id) {
                        span.avatar aria-hidden="true" { (initials(&user.name)) }
                        span.label {
                            strong { "Sign in as " (user.name) }
                            code { (user.subject) }
                        }
                    }
                }
            }
        }
    }
}

/// Zoom's connection and its button.
pub(super) fn settings(
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
                    Ok(page) if page.data.iter().any(|link| link.status == "active") => { (badge("connected", "good")) }
                    Ok(page) if page.data.iter().any(|link| link.status == "needs_reauthorization") => {
                        (badge("asks for your consent again", "warn"))
                    }
                    Ok(_) => { (badge("not connected", "plain")) }
                    Err(_) => { (badge("unknown", "warn")) }
                }
            }
            p { "When a cloud recording of yours is ready at Zoom, it is brought into storage in " strong { (region_name) } " and appears here." }
            @match links {
                Ok(page) => {
                    @for link in &page.data { (link_facts(link)) }
                    (connect(token, page.data.iter().any(|link| link.status == "active")))
                }
                Err(failure) => {
                    p.note role="alert" { (failure) }
                    (connect(token, false))
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

fn connect(token: &str, connected: bool) -> Markup {
    html! {
        form method="post" action="/zoom/connect" {
            (form_token(token))
            @if connected {
                button.plain type="submit" { "Connect again" }
            } @else {
                button.primary type="submit" { "Connect Zoom" }
            }
        }
    }
}

fn link_facts(link: &Link) -> Markup {
    html! {
        dl.facts {
            div { dt { "Status" } dd { (link.status.replace('_', " ")) } }
            @if let Some(id) = &link.zoom.user_id { div { dt { "Zoom user" } dd { code { (id) } } } }
            @if let Some(id) = &link.zoom.account_id { div { dt { "Zoom account" } dd { code { (id) } } } }
            @if !link.created_at.is_empty() { div { dt { "Since" } dd { (records::when(&link.created_at)) } } }
            div { dt { "Link" } dd { code { (link.id) } } }
        }
    }
}

/// A page that says what went wrong.
pub(super) fn trouble(title: &str, text: &str) -> Markup {
    html! {
        section.narrow {
            h1 { (title) }
            p.lead { (text) }
            p { a.button href="/" { "To the start" } }
        }
    }
}

/// A short state in a coloured pill; the words alone say it too.
fn badge(text: &str, tone: &str) -> Markup {
    html! { span class=(format!("badge {tone}")) { (text) } }
}
