//! The desk: apps, users, meetings and recordings, with buttons for what the control API can do.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};

use crate::model::app::App;
use crate::model::meeting::{FileKind, FileState, Meeting, RecordingFile};
use crate::model::user::User;
use crate::pages::{desk_forms, frame, log};
use crate::sim::Sim;
use crate::webhook::recording_payload::zoom_time;

#[derive(serde::Deserialize)]
pub(crate) struct Note {
    note: Option<String>,
}

/// `GET /`.
pub(crate) async fn show(sim: web::Data<Sim>, note: web::Query<Note>) -> HttpResponse {
    let users = sim.users();
    let mut meetings = sim.meetings();
    meetings.sort_by_key(|meeting| std::cmp::Reverse(meeting.start_time));
    let content = html! {
        header {
            h1 { "zoomsim" }
            p { a href="/chat" { "Team Chat" } }
            p { "A stand-in for Zoom at " code { (sim.0.urls.base_text()) } " · its time " (zoom_time(sim.time())) }
        }
        main {
            @if let Some(note) = &note.note { section { p.notice role="status" { (note) } } }
            div.columns {
                div { (apps(&sim)) (people(&sim, &users)) }
                div { (recordings(&sim, &users, &meetings)) }
            }
            div.columns { div { (faults(&sim)) } div { (recent(&sim)) } }
        }
    };
    frame::page("Desk", &content)
}

fn apps(sim: &Sim) -> Markup {
    let apps = sim.apps();
    html! {
        section {
            h2 { "Apps" }
            @if apps.is_empty() { p.faint { "None yet. Make one with " code { "POST /control/apps" } "." } }
            @for app in &apps { (app_item(app)) }
        }
    }
}

fn app_item(app: &App) -> Markup {
    html! {
        div.item {
            h3 { (app.name) }
            p.faint { "client id " code { (app.client_id) } " · " (format!("{:?}", app.usage)) }
            @for it in &app.subscriptions {
                p.faint {
                    "events to " code { (it.url) } " "
                    @if it.enabled { span.state.good { "enabled" } } @else { span.state.bad { "disabled" } }
                    @if it.failed_challenges > 0 { " · " (it.failed_challenges) " failed challenges in a row" }
                }
            }
            @if let Some(bot) = &app.bot {
                p.faint {
                    "bot " code { "/" (bot.slash_command) } " at " code { (bot.endpoint.url) } " "
                    @if bot.endpoint.enabled { span.state.good { "enabled" } } @else { span.state.bad { "disabled" } }
                }
            }
            div.row {
                a.button href={ "/marketplace/" (app.client_id) "/add" } { "Add from Marketplace" }
                @for it in app.subscriptions.iter().filter(|it| !it.enabled) {
                    (desk_forms::button("/desk/validate", "Validate again", &[("id", &it.id)]))
                }
            }
        }
    }
}

fn people(sim: &Sim, users: &[User]) -> Markup {
    let grants = sim.grants();
    html! {
        section {
            h2 { "Users" }
            @for user in users {
                div.item {
                    h3 { (user.display_name()) }
                    p.faint { (user.email) }
                    p.faint { "id " code { (user.id) } " · account " code { (user.account_id) } " · cluster " (user.cluster) }
                    div.row {
                        @for grant in grants.iter().filter(|grant| grant.user_id == user.id) {
                            (desk_forms::button("/desk/deauthorize", &format!("Remove app {}", grant.client_id),
                                &[("client_id", &grant.client_id), ("user_id", &user.id)]))
                        }
                    }
                }
            }
            details open[users.is_empty()] {
                summary { "New user" }
                form.row method="post" action="/desk/users" {
                    label { "First name" input name="first_name" value="Ada" required; }
                    label { "Last name" input name="last_name" value="Example" required; }
                    label { "Account id (empty: a new one)" input name="account_id"; }
                    button.main { "Create user" }
                }
            }
        }
    }
}

fn recordings(sim: &Sim, users: &[User], meetings: &[Meeting]) -> Markup {
    html! {
        section {
            h2 { "Meetings and recordings" }
            @for meeting in meetings { (meeting_item(sim, meeting)) }
            details open[meetings.is_empty()] {
                summary { "New recording" }
                @if users.is_empty() { p.faint { "Make a user first." } } @else {
                    form.row method="post" action="/desk/recordings" {
                        label { "Host" select name="host_id" {
                            @for user in users { option value=(user.id) { (user.display_name()) } }
                        } }
                        label { "Topic" input name="topic" value="Weekly review" required; }
                        label { "Video size in KiB" input name="kib" type="number" min="1" value="512" required; }
                        button.main { "Create recording" }
                    }
                }
            }
        }
    }
}

fn meeting_item(sim: &Sim, meeting: &Meeting) -> Markup {
    let host = sim
        .user(&meeting.host_id)
        .map(|user| user.display_name())
        .unwrap_or_default();
    let uuid = [("uuid", meeting.uuid.as_str())];
    let any = |state| meeting.files_in(state).next().is_some();
    let can_finish = |transcript| {
        let open = |file: &&RecordingFile| matches!(file.state, FileState::Processing | FileState::Completed);
        meeting
            .files
            .iter()
            .filter(open)
            .any(|file| (file.kind == FileKind::Transcript) == transcript)
    };
    html! {
        div.item {
            h3 { (meeting.topic) }
            p.faint { (host) " · " (zoom_time(meeting.start_time)) " · " code { (meeting.uuid) } }
            @for file in &meeting.files {
                p.faint { (file.kind.file_type()) " · " (file.size_bytes) " bytes · " (file_state(file.state)) }
            }
            div.row {
                @if can_finish(false) { (desk_forms::button("/desk/finish", "Finish recording", &uuid)) }
                @if can_finish(true) { (desk_forms::button("/desk/finish-transcript", "Finish transcript", &uuid)) }
                @if any(FileState::Completed) { (desk_forms::button("/desk/trash", "Trash", &uuid)) }
                @if any(FileState::Trashed) {
                    (desk_forms::button("/desk/recover", "Recover", &uuid))
                    (desk_forms::button("/desk/delete", "Delete", &uuid))
                }
            }
        }
    }
}

fn file_state(state: FileState) -> Markup {
    let (class, text) = match state {
        FileState::Processing => ("wait", "processing"),
        FileState::Completed => ("good", "completed"),
        FileState::Trashed => ("bad", "in the trash"),
        FileState::Deleted => ("bad", "deleted"),
    };
    html! { span.state.(class) { (text) } }
}

fn faults(sim: &Sim) -> Markup {
    let ordered = sim.faults();
    html! {
        section {
            h2 { "Faults" }
            @if ordered.is_empty() { p.faint { "None is ordered." } }
            @for fault in &ordered {
                div.item {
                    h3 { (format!("{:?}", fault.order.target)) ": " (format!("{:?}", fault.order.fault)) }
                    p.faint { (fault.remaining) " to go" }
                    (desk_forms::button("/desk/faults/cancel", "Cancel", &[("id", &fault.id.to_string())]))
                }
            }
            form.row method="post" action="/desk/faults" {
                label { "Next time" select name="fault" {
                    @for (index, (name, _)) in desk_forms::FAULTS.iter().enumerate() { option value=(index) { (name) } }
                } }
                label { "Times" input name="times" type="number" min="1" value="1" required; }
                button.main { "Order" }
            }
        }
    }
}

fn tries(count: usize) -> String {
    if count == 1 {
        "1 try".to_owned()
    } else {
        format!("{count} tries")
    }
}

fn recent(sim: &Sim) -> Markup {
    let log = sim.webhook_log();
    html! {
        section {
            h2 { "Webhooks" }
            @if log.is_empty() { p.faint { "Nothing was sent yet." } } @else {
                table {
                    thead { tr { th { "Event" } th { "State" } th { "Tries" } } }
                    tbody {
                        @for row in log.iter().rev().take(8) {
                            tr { td { code { (row.event) } } td { (log::state(row.state)) } td { (tries(row.attempts.len())) } }
                        }
                    }
                }
            }
            div.row {
                a.button href="/log" { "Whole log" }
                (desk_forms::button("/desk/retry-now", "Send waiting ones now", &[]))
                (desk_forms::button("/desk/advance", "Move the clock 5 minutes", &[("seconds", "300")]))
            }
        }
    }
}
