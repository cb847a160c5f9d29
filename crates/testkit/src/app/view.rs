//! The pages as HTML.

mod connection;
mod records;

use maud::{DOCTYPE, Markup, html};

use super::session::{Flash, Offer};
use super::settings::AppUser;

pub(super) use connection::settings;
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
                    @if let Some(flash) = frame.flash { (message(flash, frame.member.as_ref())) }
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

fn message(flash: &Flash, member: Option<&Member<'_>>) -> Markup {
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
                @if let (Some(Offer::Replace), Some(member)) = (flash.offer, member) {
                    form method="post" action="/zoom/connect" {
                        (form_token(member.form_token))
                        input type="hidden" name="replace" value="true";
                        button.plain type="submit" { "Replace the existing connection" }
                    }
                }
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
pub(super) fn sign_in(users: &[AppUser], token: &str, returned: &[(&str, String)]) -> Markup {
    html! {
        section.narrow {
            h1 { "Who are you?" }
            @if !returned.is_empty() {
                p.lead { "Zoom sent you back. Sign in as the person who pressed “Connect Zoom”, and the connection is finished." }
            } @else {
                p.lead { "This demo has two users and no passwords. Each sees only what is hers or his." }
            }
            form.people method="post" action="/sign-in" {
                (form_token(token))
                @for (name, value) in returned { input type="hidden" name=(name) value=(value); }
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
