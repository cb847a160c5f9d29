//! What a command ends with when it cannot do its job.

use std::error::Error;
use std::fmt;

/// A text for the person at the terminal.
#[derive(Debug)]
pub struct Failure(pub String);

/// What every command ends with.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// From anything that can be shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self(text)
    }
}
