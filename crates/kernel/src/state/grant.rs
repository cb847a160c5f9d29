use super::{InvalidTransition, text_state};

/// What is known of a grant's refresh token. Only an answer of Zoom's ends a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrantState {
    /// It is the latest that Zoom gave.
    Fresh,
    /// A refresh got no answer, so Zoom may have replaced it by one that nobody knows. The next answer tells.
    Unsure,
    /// Zoom refused it. Nothing is asked with it any more.
    Ended,
}

text_state!(GrantState {
    Fresh = "fresh",
    Unsure = "unsure",
    Ended = "ended",
});

impl GrantState {
    /// Zoom gave the next pair.
    pub fn rotate(self) -> Result<Self, InvalidTransition> {
        self.unless_ended(Self::Fresh)
    }

    /// No answer came.
    pub fn lose_answer(self) -> Result<Self, InvalidTransition> {
        self.unless_ended(Self::Unsure)
    }

    /// Zoom refused it.
    pub fn end(self) -> Result<Self, InvalidTransition> {
        self.unless_ended(Self::Ended)
    }

    fn unless_ended(self, to: Self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Fresh | Self::Unsure => Ok(to),
            Self::Ended => Err(InvalidTransition::new(self, to)),
        }
    }
}

/// Why a link needs a new authorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReauthorizationReason {
    /// The Zoom user who granted it does not exist any more (Zoom's 4735).
    UserGone,
    /// An administrator of the Zoom account disabled the app (4738).
    AppDisabled,
    /// Revoked: the app was removed, the password changed, or an administrator ended it (4741).
    Revoked,
    /// The refresh token was older than the 90 days that Zoom gives it.
    RefreshTokenExpired,
    /// An answer of Zoom's was lost, and the next one showed that the lost one had held the only working pair.
    LostRotation,
    /// Zoom refused the refresh token and gave no reason.
    InvalidGrant,
    /// The access token ran out, and Zoom had given no refresh token with it.
    NoRefreshToken,
}

text_state!(ReauthorizationReason {
    UserGone = "user_gone",
    AppDisabled = "app_disabled",
    Revoked = "revoked",
    RefreshTokenExpired = "refresh_token_expired",
    LostRotation = "lost_rotation",
    InvalidGrant = "invalid_grant",
    NoRefreshToken = "no_refresh_token",
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_ended_stays_ended_and_a_lost_answer_alone_never_ends(steps in prop::collection::vec(0_u8..3, 0..12)) {
            let mut state = GrantState::Fresh;
            let mut refused = false;
            for step in steps {
                let next = match step {
                    0 => state.rotate(),
                    1 => state.lose_answer(),
                    _ => state.end(),
                };
                prop_assert_eq!(next.is_err(), refused);
                if let Ok(next) = next {
                    refused = step == 2;
                    state = next;
                }
                prop_assert_eq!(state == GrantState::Ended, refused);
            }
        }
    }
}
