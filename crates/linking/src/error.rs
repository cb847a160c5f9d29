//! Why a step of linking failed.

use std::time::Duration;

use domicile_kernel::state::{InvalidTransition, ReauthorizationReason, TextState};
use domicile_kernel::{Fate, RegionId};
use domicile_leases::{JobError, LeaseError};
use domicile_store::{StoreError, TxError};
use domicile_vault::VaultError;
use domicile_zoom::oauth::OAuthError;
use thiserror::Error;

use crate::identity::IdentityError;
use crate::refusal::Refusal;

/// A failed step. What the app or the user did wrong is told apart from what failed here or at Zoom.
#[derive(Debug, Error)]
pub enum LinkingError {
    /// The `return_url` does not lie below a configured prefix.
    #[error("the return URL lies below none of the configured prefixes")]
    ReturnUrlNotAllowed,
    /// No session has this connect token or state.
    #[error("there is no such connect session")]
    UnknownSession,
    /// No session has this ticket.
    #[error("there is no such ticket")]
    UnknownTicket,
    /// The connect link, state, cookie or ticket says that another region made it.
    #[error("it was made in the region {theirs}, and this is the region {ours}")]
    OtherRegion {
        /// The region that it names.
        theirs: RegionId,
        /// This region.
        ours: RegionId,
    },
    /// The session has run out.
    #[error("the connect session has expired")]
    Expired,
    /// The session has gone past the step that was asked for.
    #[error("the connect session has been used already")]
    Used,
    /// The browser's session token names another subject than the one that the session is for; nothing has changed.
    #[error("the browser is signed in as another subject")]
    AnotherSubject,
    /// The browser has no valid session token of the app's; nothing has changed.
    #[error("the browser is not signed in to the app")]
    NotSignedIn,
    /// Nobody can say just now who sits at the browser; nothing has changed.
    #[error("the browser's session token cannot be verified now")]
    IdentityUnavailable(#[source] IdentityError),
    /// It ended without a link, now or before.
    #[error("the connect session was refused: {}", .0.reason.as_str())]
    Refused(Refusal),
    /// Zoom could not be asked; nothing was used up.
    #[error("Zoom cannot be reached")]
    ZoomUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Zoom refused or its answer was lost; the code is used up.
    #[error("Zoom gave no usable grant")]
    ZoomRejected(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is no such link.
    #[error("there is no such link")]
    UnknownLink,
    /// The link has ended for good.
    #[error("the link has ended")]
    LinkRevoked,
    /// Zoom ended the link's grant; its user must authorize again.
    #[error("the link needs a new authorization")]
    NeedsReauthorization(Option<ReauthorizationReason>),
    /// Zoom gives the link no access token just now; its grant lives on.
    #[error("Zoom gives the link no access token just now")]
    TokenUnavailable {
        /// When to ask again, where that is known.
        retry_after: Option<Duration>,
        /// What stands in the way.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A state that no code path leaves like this: a defect.
    #[error(transparent)]
    Transition(#[from] InvalidTransition),
    /// A token could not be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A job's lease could not be used.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LinkingError {
    /// Whether the same step may succeed later.
    pub fn fate(&self) -> Fate {
        match self {
            Self::ZoomUnavailable(_) | Self::IdentityUnavailable(_) | Self::Lease(LeaseError::Lost) => {
                Fate::RETRY
            }
            Self::TokenUnavailable { retry_after, .. } => Fate::Retry { after: *retry_after },
            Self::Vault(error) => error.fate(),
            Self::Store(error) | Self::Lease(LeaseError::Store(error)) => error.fate(),
            Self::ReturnUrlNotAllowed
            | Self::UnknownSession
            | Self::UnknownTicket
            | Self::OtherRegion { .. }
            | Self::Expired
            | Self::Used
            | Self::AnotherSubject
            | Self::NotSignedIn
            | Self::Refused(_)
            | Self::ZoomRejected(_)
            | Self::UnknownLink
            | Self::LinkRevoked
            | Self::NeedsReauthorization(_)
            | Self::Transition(_) => Fate::Final,
        }
    }

    /// True when the same transaction may succeed at once, because another one made what it found void.
    pub(crate) fn is_overtaken(&self) -> bool {
        match self {
            Self::Store(error) => {
                error.violates("links_one_live_per_subject") || error.violates("links_one_live_per_zoom_user")
            }
            Self::Vault(VaultError::Destroyed(_)) => true,
            _ => false,
        }
    }

    /// The failure of a job.
    pub(crate) fn into_job_error(self) -> JobError {
        JobError::new(self.class(), self.fate(), self)
    }

    /// A fixed name of it, for rows and metrics.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Store(_) => "database",
            Self::Vault(_) => "vault",
            Self::Lease(_) => "lease_lost",
            Self::TokenUnavailable { .. } => "token_unavailable",
            Self::NeedsReauthorization(_) => "needs_reauthorization",
            Self::LinkRevoked => "link_revoked",
            _ => "linking",
        }
    }

    /// Sorts a failure of the token endpoint by whether the code is used up.
    pub(crate) fn from_exchange(error: OAuthError) -> Self {
        match error {
            OAuthError::Unreachable(_) => Self::ZoomUnavailable(Box::new(error)),
            other => Self::ZoomRejected(Box::new(other)),
        }
    }
}

impl TxError for LinkingError {
    fn as_store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error)
            | Self::Vault(VaultError::Store(error))
            | Self::Lease(LeaseError::Store(error)) => Some(error),
            _ => None,
        }
    }
}
