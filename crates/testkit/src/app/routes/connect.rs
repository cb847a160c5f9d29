//! Connecting Zoom: out to the region, and back with a ticket.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::super::backend::Failure;
use super::super::state::Shared;
use super::sign_in::{self, Button};
use super::{SignedIn, bad, good, see_other, stale_form};

/// What the region adds to the return URL.
#[derive(Deserialize)]
pub(super) struct Return {
    ticket: Option<String>,
}

/// Asks the region for a connect session and sends the browser there.
pub(super) async fn begin(
    request: HttpRequest,
    form: web::Form<Button>,
    app: web::Data<Shared>,
) -> HttpResponse {
    let Some(who) = SignedIn::of(&request, &app) else {
        return see_other("/sign-in");
    };
    if who.session.form_token != form.form_token {
        return stale_form(&app, &request);
    }
    match app.backend.begin(&who.user.subject, &app.return_url()).await {
        Ok(session) => see_other(session.connect_url.as_str()),
        Err(failure) => {
            tracing::warn!(%failure, "no connect session");
            let flash = bad("Zoom could not be connected", failure.to_string());
            app.sessions.tell(&who.session, flash);
            see_other("/settings")
        }
    }
}

/// Confirms the ticket for whoever is signed in here and now (INV-6). The redirect takes the ticket out of the address bar.
pub(super) async fn finish(
    request: HttpRequest,
    query: web::Query<Return>,
    app: web::Data<Shared>,
) -> HttpResponse {
    let Some(who) = SignedIn::of(&request, &app) else {
        return sign_in::ask(&request, &app, query.ticket.as_deref());
    };
    let flash = match &query.ticket {
        None => bad(
            "Zoom was not connected",
            "You came back without a ticket. Press the button to try again.",
        ),
        Some(ticket) => match app.backend.confirm(ticket, &who.user.subject).await {
            Ok(link) => {
                tracing::info!(link_id = link.id, subject = link.subject, "Zoom connected");
                good(
                    "Zoom is connected",
                    "From now on your cloud recordings arrive here.",
                )
            }
            Err(failure) => {
                tracing::warn!(%failure, "the ticket was not confirmed");
                bad("Zoom was not connected", explain(&failure))
            }
        },
    };
    app.sessions.tell(&who.session, flash);
    see_other("/settings")
}

/// The problem in words, and what to do. Most refusals end the session at the region, so the same ticket is never tried again.
fn explain(failure: &Failure) -> String {
    format!("{failure} Nothing was changed; you can begin again with the button below.")
}
