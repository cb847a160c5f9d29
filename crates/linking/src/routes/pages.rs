//! What a person sees when a browser's step cannot go on.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use domicile_kernel::RegionId;
use domicile_kernel::state::RefusalReason;
use domicile_web::{RequestId, page};
use maud::{Markup, html};

use crate::error::LinkingError;
use crate::refusal::{Home, Refusal};
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
    if let LinkingError::OtherRegion { theirs, ours } = error {
        return elsewhere(theirs, ours, settings, reference);
    }
    let home = match error {
        LinkingError::Refused(Refusal { home: Some(home), .. }) => Some(home.as_ref()),
        _ => None,
    };
    let main = html! {
        article.card {
            h1 { (words.title) }
            p.lead { (words.happened) }
            h2 { "What you can do" }
            @match home {
                Some(home) => (way_home(home))
                None => {
                    p { (words.cure) }
                    (way_back(settings))
                }
            }
            p.reference { "If you ask for help, give this reference: " code { (reference) } }
        }
    };
    page::respond(words.status, &page::layout(words.title, &main))
}

/// The page for a link, state or cookie that another region made. Nothing of it goes along.
fn elsewhere(
    theirs: &RegionId,
    ours: &RegionId,
    settings: &LinkingSettings,
    reference: &RequestId,
) -> HttpResponse {
    let title = "This belongs to another region";
    let main = html! {
        article.card {
            h1 { (title) }
            p.lead {
                "This connection was begun in the region “" (theirs) "”, and this is the region “" (ours) "”. Regions share
                 nothing, so it cannot go on here. Nothing was connected."
            }
            h2 { "What you can do" }
            @match settings.directory.region(theirs) {
                Some(region) => {
                    p { "Begin again in the region " strong { (region.name) } "." }
                    p.actions { a.button href=(region.install_url) rel="noreferrer" { "Go to " (region.name) } }
                }
                None => {
                    p { (START_AGAIN) }
                    (way_back(settings))
                }
            }
            p.reference { "If you ask for help, give this reference: " code { (reference) } }
        }
    };
    page::respond(StatusCode::MISDIRECTED_REQUEST, &page::layout(title, &main))
}

/// Where a person of another region begins. The browser goes there; no server does (INV-1).
fn way_home(home: &Home) -> Markup {
    html! {
        @match &home.region {
            Some(region) => {
                p { "Your Zoom account has its home in the region " strong { (region.name) } ". Begin there; nothing that you did here goes along." }
                p.actions { a.button href=(region.install_url) rel="noreferrer" { "Go to " (region.name) } }
            }
            None => p { "Your Zoom account has its home in Zoom's cluster “" (home.cluster) "”. Ask whoever runs the application for the region that serves it." }
        }
    }
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
            happened: "It may be incomplete, used already, or void because you opened it again in another window.",
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
        LinkingError::NotSignedIn => Words {
            status: StatusCode::UNAUTHORIZED,
            title: "Sign in first",
            happened: "You are not signed in to the application in this browser, so we cannot know whose Zoom this would be. \
                       Nothing was connected.",
            cure: "Sign in to the application, then choose “Connect Zoom” there.",
        },
        LinkingError::AnotherSubject => someone_elses(),
        LinkingError::Refused(refusal) => refused(refusal.reason),
        LinkingError::ZoomRejected(_) => refused(RefusalReason::CodeRejected),
        _ => Words {
            status: StatusCode::SERVICE_UNAVAILABLE,
            title: "We cannot do this just now",
            happened: "Something on our side, or at Zoom, does not work at the moment. Nothing was connected.",
            cure: "Please wait a minute, then go back to the application and try again.",
        },
    }
}

fn someone_elses() -> Words {
    Words {
        status: StatusCode::FORBIDDEN,
        title: "This link was made for somebody else",
        happened: "You are signed in to the application as another person than the one whom this link would connect. For \
                   your safety nothing was connected.",
        cure: "If somebody sent you this link, do not use it. To connect your own Zoom account, choose “Connect Zoom” in \
               the application.",
    }
}

fn refused(reason: RefusalReason) -> Words {
    match reason {
        RefusalReason::ConsentDenied => Words {
            status: StatusCode::OK,
            title: "Zoom was not connected",
            happened: "You, or your Zoom administrator, did not allow the connection. Nothing was connected.",
            cure: "If this was not what you wanted, go back to the application and try again. If your administrator must \
                   approve the app first, ask them to.",
        },
        RefusalReason::BrowserMismatch => Words {
            status: StatusCode::FORBIDDEN,
            title: "This was started in another browser",
            happened: "The connection must be finished in the browser that began it. For your safety nothing was connected.",
            cure: "Go back to the application in this browser and choose “Connect Zoom” again. Check that your browser \
                   accepts cookies.",
        },
        RefusalReason::SubjectMismatch => someone_elses(),
        RefusalReason::NotSignedIn => Words {
            status: StatusCode::FORBIDDEN,
            title: "You are signed out",
            happened: "When you came back from Zoom you were not signed in to the application any more. Nothing was connected.",
            cure: "Sign in to the application and choose “Connect Zoom” again.",
        },
        RefusalReason::WrongCluster => Words {
            status: StatusCode::FORBIDDEN,
            title: "Your Zoom account belongs to another region",
            happened: "Each region works with the Zoom accounts that have their home in it. Nothing was connected or kept here.",
            cure: "Ask whoever runs the application for the region that serves your Zoom account.",
        },
        RefusalReason::UnknownCluster => Words {
            status: StatusCode::FORBIDDEN,
            title: "We cannot tell where your Zoom account belongs",
            happened: "Zoom does not say in which region your account has its home, and this region must know. Nothing was \
                       connected or kept here.",
            cure: "Ask whoever runs the application.",
        },
        RefusalReason::NotAdmitted => Words {
            status: StatusCode::FORBIDDEN,
            title: "Your organisation is not set up here yet",
            happened: "Its Zoom account has not been admitted to this region. Nothing was connected or kept.",
            cure: "Ask your administrator, or whoever runs the application, to admit your Zoom account.",
        },
        RefusalReason::WrongAppKind => Words {
            status: StatusCode::FORBIDDEN,
            title: "This is not the right kind of connection",
            happened: "A person and a whole organisation are connected through different Zoom apps, and this was the other \
                       one. Nothing was connected.",
            cure: "Ask whoever runs the application; the reference below tells them more.",
        },
        RefusalReason::ScopeMissing => Words {
            status: StatusCode::FORBIDDEN,
            title: "A permission is missing",
            happened: "At Zoom the permission to see your own user was not given. Without it nothing can be connected.",
            cure: "Go back to the application, choose “Connect Zoom” again, and leave the permissions ticked.",
        },
        RefusalReason::ZoomUserLinked => Words {
            status: StatusCode::CONFLICT,
            title: "This Zoom account is connected already",
            happened: "It is connected to another user of the application. Nothing was changed.",
            cure: "Disconnect it there first, or use another Zoom account.",
        },
        RefusalReason::SubjectLinked => Words {
            status: StatusCode::CONFLICT,
            title: "You are connected already",
            happened: "You are connected to another Zoom account. Nothing was changed.",
            cure: "Disconnect that one in the application first.",
        },
        RefusalReason::CodeRejected => Words {
            status: StatusCode::BAD_GATEWAY,
            title: "Zoom did not agree",
            happened: "Zoom gave no usable authorization. Nothing was connected.",
            cure: START_AGAIN,
        },
        RefusalReason::Expired | RefusalReason::Failed => Words {
            status: StatusCode::GONE,
            title: "This connection has ended",
            happened: "The attempt was ended without a result. Nothing was connected.",
            cure: START_AGAIN,
        },
    }
}
