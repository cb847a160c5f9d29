use super::{InvalidTransition, text_state};

/// The state of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkStatus {
    /// The grant works.
    Active,
    /// Zoom ended the grant; the subject must authorize again.
    NeedsReauthorization,
    /// Unlinked, deauthorised or erased. It never comes back; a new link is a new row.
    Revoked,
}

text_state!(LinkStatus {
    Active = "active",
    NeedsReauthorization = "needs_reauthorization",
    Revoked = "revoked",
});

impl LinkStatus {
    /// Zoom ended the grant.
    pub fn lose_grant(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Active | Self::NeedsReauthorization => Ok(Self::NeedsReauthorization),
            Self::Revoked => Err(InvalidTransition::new(self, Self::NeedsReauthorization)),
        }
    }

    /// The subject authorized again.
    pub fn reauthorize(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Active | Self::NeedsReauthorization => Ok(Self::Active),
            Self::Revoked => Err(InvalidTransition::new(self, Self::Active)),
        }
    }
}
