use super::{InvalidTransition, TextState, text_state};

/// How far a message of the bot's has come at Zoom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BotMessageState {
    /// It is not at Zoom yet.
    Pending,
    /// It is being sent for the first time.
    Sending,
    /// Zoom has it. A newer text may be on its way.
    Sent,
    /// It is no longer at Zoom, or never came there.
    Deleted,
    /// What is wanted of it will not come to be.
    Failed,
    /// It was sent and no answer came: Zoom may have it or not, and nobody can tell.
    Unsure,
}

text_state!(BotMessageState {
    Pending = "pending",
    Sending = "sending",
    Sent = "sent",
    Deleted = "deleted",
    Failed = "failed",
    Unsure = "unsure",
});

impl BotMessageState {
    /// The first send begins.
    pub fn send(self) -> Result<Self, InvalidTransition> {
        self.only_from(Self::Pending, Self::Sending)
    }

    /// The first send surely did not reach Zoom.
    pub fn not_sent(self) -> Result<Self, InvalidTransition> {
        self.only_from(Self::Sending, Self::Pending)
    }

    /// The first send may have reached Zoom, and no answer says so.
    pub fn lose(self) -> Result<Self, InvalidTransition> {
        self.only_from(Self::Sending, Self::Unsure)
    }

    /// Zoom has it.
    pub fn arrive(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Sending | Self::Sent => Ok(Self::Sent),
            _ => Err(InvalidTransition::new(self, Self::Sent)),
        }
    }

    /// It is gone, or was never sent.
    pub fn delete(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Pending | Self::Sent => Ok(Self::Deleted),
            _ => Err(InvalidTransition::new(self, Self::Deleted)),
        }
    }

    /// Zoom refuses for good.
    pub fn fail(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Pending | Self::Sending | Self::Sent => Ok(Self::Failed),
            _ => Err(InvalidTransition::new(self, Self::Failed)),
        }
    }

    fn only_from(self, from: Self, to: Self) -> Result<Self, InvalidTransition> {
        if self == from {
            Ok(to)
        } else {
            Err(InvalidTransition::new(self, to))
        }
    }

    /// The spelling that the API shows.
    pub fn name(self) -> &'static str {
        self.as_str()
    }
}

/// Whether a message of the bot's shall be at Zoom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WantedMessage {
    /// With the text of the newest revision.
    Present,
    /// Not, or not any more. It never comes back.
    Deleted,
}

text_state!(WantedMessage { Present = "present", Deleted = "deleted" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_sent_is_never_sent_again() {
        use BotMessageState::{Deleted, Failed, Pending, Sending, Sent, Unsure};
        assert_eq!(Pending.send(), Ok(Sending));
        assert_eq!(Sending.lose(), Ok(Unsure));
        for state in [Sending, Sent, Deleted, Failed, Unsure] {
            assert!(state.send().is_err(), "{state:?}");
        }
        for state in [Unsure, Deleted] {
            assert!(state.arrive().is_err() && state.fail().is_err() && state.delete().is_err());
            assert!(state.not_sent().is_err() && state.lose().is_err());
        }
    }
}
