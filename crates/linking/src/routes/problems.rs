//! Failures as the app sees them.

use domicile_kernel::state::RefusalReason;
use domicile_web::problem::{Problem, ProblemError};
use domicile_zoom::api::passthrough::{CallRefused, PassThroughError};
use http::Method;

use crate::error::LinkingError;
use crate::passthrough::ZoomCallError;
use crate::refusal::Home;

impl From<LinkingError> for ProblemError {
    fn from(error: LinkingError) -> Self {
        let (problem, detail) = match &error {
            LinkingError::ReturnUrlNotAllowed => {
                let message = "must lie below one of the prefixes in DOMICILE_APP_RETURN_URLS";
                return Self::invalid("return_url", message).cause(error);
            }
            LinkingError::UnknownSession | LinkingError::UnknownTicket => {
                (Problem::TicketInvalid, "This region never gave out this ticket.")
            }
            LinkingError::OtherRegion { theirs, ours } => {
                let detail = format!(
                    "The ticket belongs to the region {theirs}, and this is the region {ours}: confirm it there."
                );
                return Self::new(Problem::TicketInvalid).detail(detail).cause(error);
            }
            LinkingError::Expired => (
                Problem::TicketExpired,
                "The connect session ran out before it was confirmed. Open a new one.",
            ),
            LinkingError::Used => (
                Problem::Gone,
                "This ticket has been used already. A ticket works once.",
            ),
            LinkingError::AnotherSubject | LinkingError::NotSignedIn => {
                (Problem::Forbidden, "The browser is not signed in as the subject.")
            }
            LinkingError::Refused(refusal) => {
                if let Some(home) = &refusal.home {
                    return Self::new(Problem::WrongRegion)
                        .detail(wrong_home(home))
                        .cause(error);
                }
                refused(refusal.reason)
            }
            LinkingError::IdentityUnavailable(_) => (
                Problem::Unavailable,
                "The browser's session token cannot be verified just now.",
            ),
            LinkingError::ZoomUnavailable(_) => (
                Problem::ZoomUnavailable,
                "Zoom cannot be reached. Nothing was used up: confirm the same ticket again.",
            ),
            LinkingError::ZoomRejected(_) => (
                Problem::ZoomRejected,
                "Zoom gave no usable authorization. The code is spent: open a new connect session.",
            ),
            LinkingError::UnknownLink => (Problem::NotFound, "There is no link with this id."),
            LinkingError::LinkRevoked => (Problem::Gone, "The link has ended."),
            LinkingError::NeedsReauthorization(_) => (
                Problem::NeedsReauthorization,
                "Zoom ended the link's authorization; `reauthorization_reason` of the link says why.",
            ),
            LinkingError::TokenUnavailable { .. } => (
                Problem::ZoomUnavailable,
                "Zoom gives the link no access token just now. Its authorization stands.",
            ),
            LinkingError::Store(inner) if inner.fate().is_retry() => {
                return Self::new(Problem::Unavailable).cause(error);
            }
            LinkingError::Transition(_)
            | LinkingError::Vault(_)
            | LinkingError::Lease(_)
            | LinkingError::Store(_) => return Self::internal(error),
        };
        Self::new(problem).detail(detail).cause(error)
    }
}

impl From<ZoomCallError> for ProblemError {
    fn from(error: ZoomCallError) -> Self {
        let (problem, detail) = match &error {
            ZoomCallError::Refused(CallRefused::NotListed) => (
                Problem::Forbidden,
                "DOMICILE_ZOOM_CALLS lists no call with this method and path. Nothing was sent to Zoom.",
            ),
            ZoomCallError::Refused(CallRefused::Path) => (
                Problem::MalformedRequest,
                "The path after /zoom/ is not one of Zoom's API: its segments are ids and names of letters, digits and \
                 -._~@+=, percent-encoded where needed; a meeting's uuid may hold an encoded slash. Nothing was sent to \
                 Zoom.",
            ),
            ZoomCallError::Refused(CallRefused::Query(why)) => {
                let detail = format!("The query is not passed on: {why}. Nothing was sent to Zoom.");
                return Self::new(Problem::Forbidden).detail(detail);
            }
            ZoomCallError::BodyNotExpected => (
                Problem::MalformedRequest,
                "A GET or HEAD has no body. Nothing was sent to Zoom.",
            ),
            ZoomCallError::UnknownLink => (Problem::NotFound, "There is no link with this id."),
            ZoomCallError::NeedsReauthorization => (
                Problem::NeedsReauthorization,
                "Zoom has ended the link's authorization.",
            ),
            ZoomCallError::Revoked => (Problem::Gone, "The link has ended."),
            ZoomCallError::PassThrough { method, cause } => return unanswered(method, cause).cause(error),
            ZoomCallError::Linking(LinkingError::TokenUnavailable { retry_after, .. }) => {
                let wait = *retry_after;
                let said = Self::new(Problem::ZoomUnavailable)
                    .detail("Zoom gives no fresh token just now. Nothing was done.");
                let said = match wait {
                    Some(wait) => said.retry_after(wait),
                    None => said,
                };
                return said.cause(error);
            }
            ZoomCallError::Linking(inner) if inner.fate().is_retry() => {
                return Self::new(Problem::Unavailable).cause(error);
            }
            ZoomCallError::Linking(_) => return Self::internal(error),
        };
        Self::new(problem).detail(detail).cause(error)
    }
}

/// What is said where Zoom's answer is missing or cannot be passed on.
fn unanswered(method: &Method, cause: &PassThroughError) -> ProblemError {
    // These two alone may do a thing twice when they are repeated (RFC 9110 section 9.2.2).
    let repeatable = !matches!(*method, Method::POST | Method::PATCH);
    let (problem, detail) = match cause {
        PassThroughError::Unreachable(_) => (
            Problem::ZoomUnavailable,
            "Zoom cannot be reached. Nothing was done.",
        ),
        PassThroughError::LostAnswer(_) if repeatable => {
            (Problem::ZoomUnavailable, "Zoom gave no answer in time.")
        }
        PassThroughError::LostAnswer(_) => (
            Problem::ZoomAnswerLost,
            "Zoom gave no answer in time, and may have done what was asked.",
        ),
        PassThroughError::TooLarge => (
            Problem::ZoomAnswerUnusable,
            "Zoom's answer is larger than 8 MiB. Ask for smaller pages.",
        ),
        PassThroughError::Redirect => (
            Problem::ZoomAnswerUnusable,
            "Zoom answered with a redirect, which is not followed.",
        ),
        PassThroughError::Unreadable => (
            Problem::ZoomAnswerUnusable,
            "Zoom's answer cannot be read, so it may hold a credential.",
        ),
        PassThroughError::HostNotAllowed => (
            Problem::WrongRegion,
            "The link's API host is not one that this region may call (DOMICILE_ZOOM_HOSTS).",
        ),
        PassThroughError::NotARequest => return ProblemError::new(Problem::Internal),
    };
    ProblemError::new(problem).detail(detail)
}

fn wrong_home(home: &Home) -> String {
    let cluster = &home.cluster;
    match &home.region {
        Some(region) => format!(
            "The Zoom user's home cluster is {cluster}, which belongs to the region {} ({}): {}",
            region.id, region.name, region.install_url
        ),
        None => format!("The Zoom user's home cluster is {cluster}, which this region does not serve."),
    }
}

fn refused(reason: RefusalReason) -> (Problem, &'static str) {
    match reason {
        RefusalReason::SubjectMismatch => (
            Problem::SubjectMismatch,
            "The ticket belongs to a connect session of another subject. The session has ended and its code is destroyed.",
        ),
        RefusalReason::ZoomUserLinked => (
            Problem::LinkExists,
            "The Zoom user or account is linked to another subject. A connect session with \"replace\": true ends that link.",
        ),
        RefusalReason::SubjectLinked => (
            Problem::LinkExists,
            "The subject is linked to another Zoom user or account. A connect session with \"replace\": true ends that link.",
        ),
        RefusalReason::WrongCluster => (
            Problem::WrongRegion,
            "The Zoom user's home cluster belongs to another region.",
        ),
        RefusalReason::UnknownCluster => (
            Problem::WrongRegion,
            "Zoom does not name the user's home cluster, and this region wants one (DOMICILE_REGION_UNKNOWN_CLUSTER).",
        ),
        RefusalReason::NotAdmitted => (
            Problem::AccountNotAdmitted,
            "The Zoom account is not among those that were admitted to this region.",
        ),
        RefusalReason::WrongAppKind => (
            Problem::Conflict,
            "A user: subject needs a user-managed Marketplace app, an org: subject an admin-managed one; this authorization \
             is of the other kind.",
        ),
        RefusalReason::ScopeMissing => (
            Problem::ZoomRejected,
            "The scope user:read:user was not granted, without which Zoom does not say whose authorization it is.",
        ),
        RefusalReason::Expired => (
            Problem::TicketExpired,
            "The connect session ran out before it was confirmed. Open a new one.",
        ),
        RefusalReason::ConsentDenied
        | RefusalReason::BrowserMismatch
        | RefusalReason::NotSignedIn
        | RefusalReason::CodeRejected
        | RefusalReason::Failed => (
            Problem::Gone,
            "The connect session has ended without a link. Open a new one.",
        ),
    }
}
