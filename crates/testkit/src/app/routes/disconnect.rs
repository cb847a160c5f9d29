//! Disconnecting Zoom.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::super::state::Shared;
use super::{SignedIn, bad, good, see_other, stale_form};

/// What the button sends.
#[derive(Deserialize)]
pub(super) struct Disconnect {
    form_token: String,
    link_id: String,
}

/// Ends a link of the signed-in user's. Whose it is, the app asks: the browser may name any.
pub(super) async fn end(
    request: HttpRequest,
    form: web::Form<Disconnect>,
    app: web::Data<Shared>,
) -> HttpResponse {
    let Some(who) = SignedIn::of(&request, &app) else {
        return see_other("/sign-in");
    };
    if who.session.form_token != form.form_token {
        return stale_form(&app, &request);
    }
    let ended = match app.backend.link(&form.link_id, &who.user.subject).await {
        Ok(Some(link)) => app.backend.disconnect(&link.id).await.map(|()| true),
        Ok(None) => Ok(false),
        Err(failure) => Err(failure),
    };
    let flash = match ended {
        Ok(true) => {
            tracing::info!(link_id = form.link_id, "Zoom disconnected");
            good(
                "Zoom is disconnected",
                "No more recordings come here, and what Domicile held for the connection is erased.",
            )
        }
        Ok(false) => bad(
            "Nothing was disconnected",
            "There is no such connection of yours.",
        ),
        Err(failure) => {
            tracing::warn!(%failure, "the link was not ended");
            bad("Zoom is still connected", failure.to_string())
        }
    };
    app.sessions.tell(&who.session, flash);
    see_other("/settings")
}
