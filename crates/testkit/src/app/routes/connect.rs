//! Connecting Zoom: out to the region, and back with a ticket or, where the region knows the session itself, with the link.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::super::backend::{Begin, Failure};
use super::super::session::{Flash, Offer};
use super::super::state::Shared;
use super::{SignedIn, bad, good, offering, renew_session_token, see_other, sign_in, stale_form};

/// What the region adds to the return URL.
#[derive(Default, Deserialize)]
pub(super) struct Return {
    /// `confirm`: to be confirmed for the session that came back.
    pub(super) ticket: Option<String>,
    /// `session-jwt`: what the region has made already.
    pub(super) link_id: Option<String>,
}

impl Return {
    /// The parts that are there, as they stand in a query or form.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        [("ticket", &self.ticket), ("link_id", &self.link_id)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect()
    }
}

/// What the connect button sends.
#[derive(Deserialize)]
pub(super) struct Connect {
    form_token: String,
    /// Also where another connection exists.
    #[serde(default)]
    replace: bool,
}

/// Asks the region for a connect session and sends the browser there, with a fresh session token.
pub(super) async fn begin(
    request: HttpRequest,
    form: web::Form<Connect>,
    app: web::Data<Shared>,
) -> HttpResponse {
    let Some(who) = SignedIn::of(&request, &app) else {
        return see_other("/sign-in");
    };
    if who.session.form_token != form.form_token {
        return stale_form(&app, &request);
    }
    let how = if form.replace {
        Begin::Replacing
    } else {
        Begin::Keeping
    };
    let mut response = match app.backend.begin(&who.user.subject, &app.return_url(), how).await {
        Ok(session) => see_other(session.connect_url.as_str()),
        Err(failure) => {
            tracing::warn!(%failure, "no connect session");
            let flash = bad("Zoom could not be connected", failure.to_string());
            app.sessions.tell(&who.session, flash);
            see_other("/settings")
        }
    };
    renew_session_token(&mut response, &app, &who.user);
    response
}

/// Ends the flow for whoever is signed in here and now (INV-6). The redirect takes the ticket out of the address bar.
pub(super) async fn finish(
    request: HttpRequest,
    query: web::Query<Return>,
    app: web::Data<Shared>,
) -> HttpResponse {
    let Some(who) = SignedIn::of(&request, &app) else {
        return sign_in::ask(&request, &app, &query);
    };
    let flash = match (&app.session_issuer, &query.ticket, &query.link_id) {
        (None, Some(ticket), _) => confirm(&app, &who, ticket).await,
        (Some(_), _, Some(link_id)) => look_up(&app, &who, link_id).await,
        (None, None, _) => bad(
            NOT_CONNECTED,
            "You came back without a ticket. Press the button to try again.",
        ),
        (Some(_), _, None) => bad(
            NOT_CONNECTED,
            "You came back without a connection. Press the button to try again.",
        ),
    };
    app.sessions.tell(&who.session, flash);
    see_other("/settings")
}

const NOT_CONNECTED: &str = "Zoom was not connected";

/// `confirm`: the region makes the link only for the subject that this session belongs to.
async fn confirm(app: &Shared, who: &SignedIn, ticket: &str) -> Flash {
    match app.backend.confirm(ticket, &who.user.subject).await {
        Ok(link) => {
            tracing::info!(link_id = link.id, subject = link.subject, "Zoom connected");
            connected()
        }
        Err(failure) => {
            tracing::warn!(%failure, "the ticket was not confirmed");
            let flash = bad(NOT_CONNECTED, explain(&failure));
            if failure.is_link_exists() {
                offering(Offer::Replace, flash)
            } else {
                flash
            }
        }
    }
}

/// `session-jwt`: the region has made the link; whose it is, the app asks and does not take from the browser.
async fn look_up(app: &Shared, who: &SignedIn, link_id: &str) -> Flash {
    match app.backend.link(link_id, &who.user.subject).await {
        Ok(Some(link)) if link.is_active() => {
            tracing::info!(link_id = link.id, subject = link.subject, "Zoom connected");
            connected()
        }
        Ok(_) => bad(
            NOT_CONNECTED,
            "There is no such connection of yours. Press the button to try again.",
        ),
        Err(failure) => bad("We cannot see your connection now", failure.to_string()),
    }
}

fn connected() -> Flash {
    good(
        "Zoom is connected",
        "From now on your cloud recordings arrive here.",
    )
}

/// The problem in words, and what to do. Most refusals end the session at the region, so the same ticket is never tried again.
fn explain(failure: &Failure) -> String {
    format!("{failure} Nothing was changed; you can begin again with the button below.")
}
