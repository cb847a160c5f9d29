use crate::problem::Problem;

/// What a person, not a program, is told of a problem.
pub(crate) struct Words {
    pub(crate) title: &'static str,
    pub(crate) happened: &'static str,
    pub(crate) cure: &'static str,
}

const START_AGAIN: &str = "Go back to the application where you began and start again from there.";
const TRY_LATER: &str = "Wait a moment, then reload this page. Nothing was lost or changed.";

/// The words for a browser.
pub(crate) fn words_for(problem: Problem) -> Words {
    let (title, happened, cure) = match problem {
        Problem::NotFound | Problem::NoBot => (
            "This page does not exist",
            "The address may be mistyped, or the link may be incomplete.",
            START_AGAIN,
        ),
        Problem::Gone | Problem::TicketExpired => (
            "This link is no longer valid",
            "It was used already, or it is too old.",
            START_AGAIN,
        ),
        Problem::MalformedRequest
        | Problem::ValidationFailed
        | Problem::IdempotencyKeyReused
        | Problem::TicketInvalid
        | Problem::UnsupportedMediaType
        | Problem::PayloadTooLarge
        | Problem::RangeNotSatisfiable => (
            "This link is incomplete",
            "Your browser sent something that we cannot read, so nothing was done.",
            START_AGAIN,
        ),
        Problem::MethodNotAllowed => (
            "This page cannot be used like that",
            "The address is right, but it does not take this kind of request.",
            START_AGAIN,
        ),
        Problem::Unauthenticated | Problem::Forbidden | Problem::SubjectMismatch => (
            "This is not for you",
            "What you opened belongs to another session or another person, so nothing was done.",
            "If you meant to connect your own account, sign in to the application and start again from there.",
        ),
        Problem::WrongRegion => (
            "Your Zoom account belongs to another region",
            "Each region works with the Zoom accounts that have their home in it, so nothing was connected here.",
            "Choose your own region in the application and start again from there.",
        ),
        Problem::AccountNotAdmitted => (
            "Your organisation is not set up here yet",
            "Its Zoom account has not been admitted to this region, so nothing was connected.",
            "Ask your administrator, or whoever runs the application, to admit your Zoom account.",
        ),
        Problem::Misdirected => (
            "This is the wrong address",
            "You reached us under a name that is not ours, so nothing was done.",
            START_AGAIN,
        ),
        Problem::Conflict | Problem::LinkExists | Problem::NeedsReauthorization | Problem::NotReady => (
            "This does not fit with what is there",
            "Something is connected differently already, so nothing was changed.",
            START_AGAIN,
        ),
        Problem::RequestTimeout => (
            "That took too long",
            "Your request did not arrive in time.",
            TRY_LATER,
        ),
        Problem::RateLimited => (
            "Too many requests",
            "We received more requests than we can answer.",
            TRY_LATER,
        ),
        Problem::ZoomRejected => (
            "Zoom did not agree",
            "Zoom refused the connection, so nothing was connected.",
            START_AGAIN,
        ),
        Problem::ZoomAnswerUnusable | Problem::ZoomAnswerLost => (
            "Zoom gave no usable answer",
            "Zoom's answer did not come, or cannot be shown.",
            TRY_LATER,
        ),
        Problem::ZoomUnavailable => (
            "Zoom cannot be reached",
            "Zoom does not answer at the moment.",
            TRY_LATER,
        ),
        Problem::Unavailable => (
            "We cannot do this just now",
            "A part of this service is not available.",
            TRY_LATER,
        ),
        Problem::Internal => (
            "Something went wrong here",
            "It was our fault, not yours.",
            TRY_LATER,
        ),
    };
    Words {
        title,
        happened,
        cure,
    }
}
