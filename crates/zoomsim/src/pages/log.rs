//! The webhook log as a page.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};

use crate::model::webhook::{DeliveryState, WebhookDelivery};
use crate::pages::frame;
use crate::sim::Sim;
use crate::webhook::recording_payload::zoom_time;

/// `GET /log`: newest first.
pub(crate) async fn show(sim: web::Data<Sim>) -> HttpResponse {
    let mut log = sim.webhook_log();
    log.reverse();
    let content = html! {
        header {
            h1 { "Webhook log" }
            p { a href="/" { "Back to the desk" } " · " a href="/log" { "Refresh" } }
        }
        main {
            section {
                @if log.is_empty() { p.faint { "Nothing was sent yet." } }
                @for row in &log { (entry(row)) }
            }
        }
    };
    frame::page("Webhook log", &content)
}

fn entry(row: &WebhookDelivery) -> Markup {
    html! {
        div.item {
            h3 { code { (row.event) } " " (state(row.state)) }
            p.faint { (zoom_time(row.created_at)) " to " code { (row.url) } " · request id " code { (row.request_id) } }
            @for attempt in &row.attempts {
                p.faint { "Attempt at " (zoom_time(attempt.at)) ": " (format!("{:?}", attempt.result)) }
            }
            details { summary { "Body" } pre { (row.body) } }
        }
    }
}

/// A state in words and colour.
pub(crate) fn state(state: DeliveryState) -> Markup {
    let (class, text) = match state {
        DeliveryState::Pending { next_attempt_at } => {
            ("wait", format!("next try {}", zoom_time(next_attempt_at)))
        }
        DeliveryState::Delivered => ("good", "delivered".to_owned()),
        DeliveryState::Refused => ("bad", "refused for good".to_owned()),
        DeliveryState::Exhausted => ("bad", "given up after four tries".to_owned()),
        DeliveryState::Suppressed => ("bad", "not sent: subscription disabled".to_owned()),
        DeliveryState::Lost => ("bad", "lost, as ordered".to_owned()),
    };
    html! { span.state.(class) { (text) } }
}
