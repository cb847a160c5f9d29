//! The states of things that live in rows, and the only transitions between them.
//!
//! Each enum is stored as text; [`TextState`] gives the one spelling that database, API and logs share.

mod bot_message;
mod connect_session;
mod file;
mod grant;
mod job;
mod link;

use std::fmt;

use thiserror::Error;

pub use bot_message::{BotMessageState, WantedMessage};
pub use connect_session::{ConnectSessionStatus, RefusalReason};
pub use file::{FileStatus, RecordingStatus};
pub use grant::{GrantState, ReauthorizationReason};
pub use job::JobStatus;
pub use link::{LinkStatus, RevocationReason};

/// A state with one fixed spelling.
pub trait TextState: Copy + Sized + 'static {
    /// Every value, in the order of the life of the thing.
    const ALL: &'static [Self];

    /// The spelling.
    fn as_str(self) -> &'static str;

    /// The value with this spelling.
    fn from_text(text: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .iter()
            .copied()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// A text that no state of the wanted kind has: the row was written by a newer version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown state {0:?}")]
pub struct UnknownState(pub String);

/// A transition that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a thing in state {from} cannot become {to}")]
pub struct InvalidTransition {
    /// The state that it is in.
    pub from: &'static str,
    /// The state that was asked for.
    pub to: &'static str,
}

impl InvalidTransition {
    pub(crate) fn new(from: impl TextState, to: impl TextState) -> Self {
        Self {
            from: from.as_str(),
            to: to.as_str(),
        }
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! text_state {
    ($name:ident { $($value:ident = $text:literal),+ $(,)? }) => {
        impl $crate::state::TextState for $name {
            const ALL: &'static [Self] = &[$(Self::$value),+];

            fn as_str(self) -> &'static str {
                match self { $(Self::$value => $text),+ }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($crate::state::TextState::as_str(*self))
            }
        }
    };
}
pub(crate) use text_state;

#[cfg(test)]
mod tests {
    use super::*;

    fn spelling_round_trips<S: TextState + PartialEq + std::fmt::Debug>() {
        for state in S::ALL {
            assert_eq!(S::from_text(state.as_str()).as_ref(), Ok(state));
        }
        assert!(S::from_text("no such state").is_err());
    }

    #[test]
    fn every_spelling_round_trips() {
        spelling_round_trips::<ConnectSessionStatus>();
        spelling_round_trips::<RefusalReason>();
        spelling_round_trips::<LinkStatus>();
        spelling_round_trips::<RevocationReason>();
        spelling_round_trips::<GrantState>();
        spelling_round_trips::<ReauthorizationReason>();
        spelling_round_trips::<RecordingStatus>();
        spelling_round_trips::<FileStatus>();
        spelling_round_trips::<JobStatus>();
        spelling_round_trips::<BotMessageState>();
        spelling_round_trips::<WantedMessage>();
    }
}
