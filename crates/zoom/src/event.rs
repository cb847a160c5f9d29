//! What Zoom's webhooks say.
//!
//! Reading has two depths. [`Envelope`] is the smallest parse, done while Zoom waits: which event, whose, and when.
//! [`RecordingEvent`] and [`AppDeauthorized`] are read later, by the job that acts. Both read the odd forms that were
//! seen in the field; neither ever fails on a member that nobody needs.

pub mod bot;

mod deauthorized;
mod envelope;
mod recording;

use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::wire::{Malformed, Object};

pub use deauthorized::AppDeauthorized;
pub use envelope::{Envelope, EventKind};
pub use recording::RecordingEvent;

/// Why a body is no event that can be acted on. It holds paths of members, never their values (INV-3).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EventError {
    /// The body is not UTF-8, as JSON must be (RFC 8259 section 8.1).
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// The body is not JSON, or names a member twice.
    #[error("the body is not well-formed JSON (line {line}, column {column})")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The body is JSON, but no object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// A member without which nothing can be done is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member that names or routes has a value of the wrong kind, a control character or an absurd length.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// A typed event was read from the body of another kind.
    #[error("the event is of another kind")]
    OtherKind,
}

impl From<Malformed> for EventError {
    fn from(Malformed(field): Malformed) -> Self {
        Self::Malformed(field)
    }
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, EventError> {
    let text = std::str::from_utf8(body).map_err(|_| EventError::NotUtf8)?;
    // serde's own message may quote the body.
    let body: Object<T> = serde_json::from_str(text).map_err(|error| EventError::NotJson {
        line: error.line(),
        column: error.column(),
    })?;
    body.0.ok_or(EventError::NotAnObject)
}
