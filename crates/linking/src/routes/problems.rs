//! Failures as the app sees them.

use domicile_kernel::state::RefusalReason;
use domicile_web::problem::{Problem, ProblemError};

use crate::error::LinkingError;
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
            LinkingError::OtherRegion(region) => {
                let detail = format!("The ticket belongs to the region {region}: confirm it there.");
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
            LinkingError::ZoomUnavailable(_) => (
                Problem::ZoomUnavailable,
                "Zoom cannot be reached. Nothing was used up: confirm the same ticket again.",
            ),
            LinkingError::ZoomRejected(_) => (
                Problem::ZoomRejected,
                "Zoom gave no usable authorization. The code is spent: open a new connect session.",
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
