//! Failures as the app sees them.

use domicile_web::problem::{Problem, ProblemError};
use domicile_zoom::chat::ChatError;
use domicile_zoom::chat::content::ContentFault;

use crate::error::ChatbotError;

/// Every fault of a content, by its field.
pub(crate) fn of_content(faults: Vec<ContentFault>) -> ProblemError {
    faults
        .into_iter()
        .fold(ProblemError::new(Problem::ValidationFailed), |problem, fault| {
            problem.field(fault.field, fault.fault.to_string())
        })
}

impl From<ChatbotError> for ProblemError {
    fn from(error: ChatbotError) -> Self {
        match error {
            ChatbotError::Content(faults) => of_content(faults),
            ChatbotError::Chat(error) => of_zoom(error),
            error if error.fate().is_retry() => Self::new(Problem::Unavailable).cause(error),
            error => Self::internal(error),
        }
    }
}

/// What Zoom said to a call that the app waits for.
pub(crate) fn of_zoom(error: ChatError) -> ProblemError {
    let (problem, detail) = match &error {
        ChatError::NoUnfurl => {
            return ProblemError::invalid("trigger_id", "is not one that Zoom knows, or not any more")
                .cause(error);
        }
        ChatError::InvalidBody => {
            return ProblemError::invalid("content", "is refused by Zoom").cause(error);
        }
        ChatError::RateLimited { retry_after } => {
            return ProblemError::new(Problem::ZoomUnavailable)
                .detail("Zoom limits the rate for this account. Nothing was done.")
                .retry_after(*retry_after)
                .cause(error);
        }
        ChatError::LostAnswer(_) | ChatError::Unavailable { .. } if error.may_have_taken_effect() => (
            Problem::ZoomUnavailable,
            "Zoom gave no answer in time. A preview may be asked for again: it replaces itself.",
        ),
        ChatError::LostAnswer(_)
        | ChatError::Unavailable { .. }
        | ChatError::Unreachable(_)
        | ChatError::NoToken(_) => (
            Problem::ZoomUnavailable,
            "Zoom cannot be reached. Nothing was done.",
        ),
        ChatError::Unauthorized
        | ChatError::UnknownRobot
        | ChatError::NotAuthorized
        | ChatError::NoMessage
        | ChatError::Refused { .. }
        | ChatError::HostNotAllowed => (
            Problem::ZoomRejected,
            "Zoom refused it: the bot is not installed there, or the region's bot is not set up as Zoom knows it.",
        ),
        ChatError::NotARequest => return ProblemError::internal(error),
    };
    ProblemError::new(problem).detail(detail).cause(error)
}
