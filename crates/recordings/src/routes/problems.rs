//! How this room's errors look to the app.

use domicile_objects::ObjectsError;
use domicile_vault::VaultError;
use domicile_web::problem::{Problem, ProblemError};

use crate::error::RecordingsError;

impl From<RecordingsError> for ProblemError {
    fn from(error: RecordingsError) -> Self {
        let problem = match &error {
            RecordingsError::Vault(VaultError::Destroyed(_)) => Problem::Gone,
            error if error.fate().is_retry() => Problem::Unavailable,
            _ => Problem::Internal,
        };
        Self::new(problem).cause(error)
    }
}

/// A stored file whose object cannot be read. One that is missing is our fault, not the caller's.
pub(super) fn of_storage(error: ObjectsError) -> ProblemError {
    let problem = if error.fate().is_retry() {
        Problem::Unavailable
    } else {
        Problem::Internal
    };
    ProblemError::new(problem).cause(error)
}
