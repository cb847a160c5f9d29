//! Failures as the app sees them.

use domicile_kernel::state::RefusalReason;
use domicile_web::problem::{Problem, ProblemError};

use crate::error::LinkingError;

impl From<LinkingError> for ProblemError {
    fn from(error: LinkingError) -> Self {
        let (problem, detail) = match &error {
            LinkingError::ReturnUrlNotAllowed => {
                let message = "must lie below one of the prefixes in DOMICILE_APP_RETURN_URLS";
                return Self::invalid("return_url", message).cause(error);
            }
            LinkingError::UnknownSession => {
                (Problem::TicketInvalid, "This region never gave out this ticket.")
            }
            LinkingError::Expired => (
                Problem::TicketExpired,
                "The connect session ran out before it was confirmed. Open a new one.",
            ),
            LinkingError::Used => (
                Problem::Gone,
                "This ticket has been used already. A ticket works once.",
            ),
            LinkingError::Refused(reason) => refusal(*reason),
            LinkingError::WrongCluster { cluster } => {
                let detail =
                    format!("The Zoom user's home cluster is {cluster}, which this region does not serve.");
                return Self::new(Problem::WrongRegion).detail(detail);
            }
            LinkingError::UnknownHome(_) => (
                Problem::WrongRegion,
                "The Zoom user's API host is not one that this region may call (DOMICILE_ZOOM_HOSTS).",
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

fn refusal(reason: RefusalReason) -> (Problem, &'static str) {
    match reason {
        RefusalReason::SubjectMismatch => (
            Problem::SubjectMismatch,
            "The ticket belongs to a connect session of another subject. The session has ended and its code is destroyed.",
        ),
        RefusalReason::ZoomUserLinked => (
            Problem::LinkExists,
            "The Zoom user or account is linked to another subject.",
        ),
        RefusalReason::SubjectLinked => (
            Problem::LinkExists,
            "The subject is linked to another Zoom user or account.",
        ),
        RefusalReason::WrongCluster => (
            Problem::WrongRegion,
            "The Zoom user's home cluster belongs to another region.",
        ),
        RefusalReason::Expired => (
            Problem::TicketExpired,
            "The connect session ran out before it was confirmed. Open a new one.",
        ),
        RefusalReason::ConsentDenied
        | RefusalReason::BrowserMismatch
        | RefusalReason::CodeRejected
        | RefusalReason::Failed => (
            Problem::Gone,
            "The connect session has ended without a link. Open a new one.",
        ),
    }
}
