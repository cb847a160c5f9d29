//! What a person sees when a browser's step cannot go on.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use domicile_kernel::state::RefusalReason;
use domicile_web::{RequestId, page};
use maud::{Markup, html};

use crate::error::LinkingError;
use crate::settings::LinkingSettings;

struct Words {
    status: StatusCode,
    title: &'static str,
    happened: &'static str,
    cure: &'static str,
}

const START_AGAIN: &str = "Go back to the application and choose “Connect Zoom” again.";

/// The page for a failed step, with the way back to the app and a reference for support.
pub(super) fn failed(
    error: &LinkingError,
    settings: &LinkingSettings,
    reference: &RequestId,
) -> HttpResponse {
    let words = words(error);
    let main = html! {
        article.card {
            h1 { (words.title) }
            p.lead { (words.happened) }
            h2 { "What you can do" }
            p { (words.cure) }
            (way_back(settings))
            p.reference { "If you ask for help, give this reference: " code { (reference) } }
        }
    };
    page::respond(words.status, &page::layout(words.title, &main))
}

/// The page for a browser that Zoom's Marketplace sent, which carries no state of ours (Zoom: listing options).
pub(super) fn from_marketplace(settings: &LinkingSettings) -> HttpResponse {
    let title = "One more step";
    let main = html! {
        article.card {
            h1 { (title) }
            p.lead { "You came from the Zoom App Marketplace. Nothing is connected yet." }
            h2 { "What you can do" }
            p { "Sign in to the application and choose “Connect Zoom” there, so that your Zoom account is connected to you and to nobody else." }
            (way_back(settings))
        }
    };
    page::respond(StatusCode::OK, &page::layout(title, &main))
}

fn way_back(settings: &LinkingSettings) -> Markup {
    html! { p.actions { a.button href=(settings.start_url) rel="noreferrer" { "Go to the application" } } }
}

fn words(error: &LinkingError) -> Words {
    match error {
        LinkingError::UnknownSession => Words {
            status: StatusCode::NOT_FOUND,
            title: "This link does not work",
            happened: "It may be incomplete, or you opened it again in another window, which made this one void.",
            cure: START_AGAIN,
        },
        LinkingError::Expired => Words {
            status: StatusCode::GONE,
            title: "This took too long",
            happened: "For your safety a connection must be finished within ten minutes. Nothing was connected.",
            cure: START_AGAIN,
        },
        LinkingError::Used => Words {
            status: StatusCode::GONE,
            title: "This link was used already",
            happened: "A link to connect Zoom works once.",
            cure: "If Zoom is not connected yet, go back to the application and choose “Connect Zoom” again.",
        },
        LinkingError::Refused(RefusalReason::ConsentDenied) => Words {
            status: StatusCode::OK,
            title: "Zoom was not connected",
            happened: "You, or your Zoom administrator, did not allow the connection. Nothing was connected.",
            cure: "If this was not what you wanted, go back to the application and try again. If your administrator must \
                   approve the app first, ask them to.",
        },
        LinkingError::Refused(RefusalReason::BrowserMismatch) => Words {
            status: StatusCode::FORBIDDEN,
            title: "This was started in another browser",
            happened: "The connection must be finished in the browser that began it. For your safety nothing was connected.",
            cure: "Go back to the application in this browser and choose “Connect Zoom” again. Check that your browser \
                   accepts cookies.",
        },
        LinkingError::Refused(_) => Words {
            status: StatusCode::GONE,
            title: "This connection has ended",
            happened: "The attempt was ended without a result. Nothing was connected.",
            cure: START_AGAIN,
        },
        _ => Words {
            status: StatusCode::SERVICE_UNAVAILABLE,
            title: "We cannot do this just now",
            happened: "Something on our side does not work at the moment. Nothing was connected.",
            cure: "Please wait a minute, then go back to the application and try again.",
        },
    }
}
