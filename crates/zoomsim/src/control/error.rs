//! What can be wrong with an order to the simulator.

use crate::webhook::challenge::ChallengeFailure;

/// What is wrong with an order to the simulator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// No app of that client id.
    #[error("there is no app with that client_id")]
    UnknownApp,
    /// No such user.
    #[error("there is no such user")]
    UnknownUser,
    /// No such meeting instance.
    #[error("there is no meeting instance with that uuid")]
    UnknownMeeting,
    /// No such file.
    #[error("there is no such file")]
    UnknownFile,
    /// No such subscription.
    #[error("there is no such event subscription")]
    UnknownSubscription,
    /// No app of that client id has a bot.
    #[error("that app has no bot")]
    UnknownBot,
    /// No such channel.
    #[error("there is no such channel")]
    UnknownChannel,
    /// No such message, or it was deleted.
    #[error("there is no such message")]
    UnknownMessage,
    /// No such row in the webhook log.
    #[error("the webhook log has no such row")]
    UnknownDelivery,
    /// No such fault.
    #[error("there is no such fault; it may have struck already")]
    UnknownFault,
    /// That id is taken.
    #[error("{0} is taken already")]
    Taken(&'static str),
    /// Something in the order does not fit.
    #[error("{0}")]
    Invalid(String),
    /// The subscription's URL did not pass the challenge: nothing was saved.
    #[error("validation failed, nothing was saved: {0}")]
    Challenge(#[from] ChallengeFailure),
}
