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

    /// It ends, for good.
    pub fn revoke(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Active | Self::NeedsReauthorization => Ok(Self::Revoked),
            Self::Revoked => Err(InvalidTransition::new(self, Self::Revoked)),
        }
    }
}

/// Why a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RevocationReason {
    /// The app unlinked it.
    Unlinked,
    /// A new link took its place, as the connect session allowed.
    Replaced,
}

text_state!(RevocationReason {
    Unlinked = "unlinked",
    Replaced = "replaced",
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::TextState;

    #[test]
    fn what_is_revoked_never_comes_back() {
        for status in LinkStatus::ALL {
            let revoked = status.revoke();
            assert_eq!(revoked.is_err(), *status == LinkStatus::Revoked);
        }
        assert!(LinkStatus::Revoked.reauthorize().is_err());
        assert!(LinkStatus::Revoked.lose_grant().is_err());
    }
}
