//! Who sits at the browser: how the region knows that the finisher of a connect session is its starter (INV-6).
//!
//! With [`Identity::Confirm`] the app's backend says so, when it confirms the ticket. With [`Identity::SessionJwt`] the
//! browser's requests to the region carry the app's own session token, because app and region share a site; it is verified
//! by RFC 7519 and RFC 8725 against the app's published keys (RFC 7517), at the start and at the callback.

mod carried;
mod error;
mod jwks;
mod keys;
mod object;
mod settings;
mod token;

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use domicile_egress::Client;
use domicile_kernel::state::RefusalReason;
use domicile_kernel::subject::SubjectKind;
use domicile_kernel::{Clock, Subject};
use tracing::info;

pub use error::{IdentityError, JwksError};
pub use keys::{JWKS_MAX_AGE, JWKS_OUTAGE_LIMIT, JWKS_REFRESH_INTERVAL, JWKS_RETRY_INTERVAL, JWKS_TIMEOUTS};
pub use settings::{
    Algorithms, ClaimName, CookieName, FieldName, IdentityMode, IdentitySettings, InvalidIdentitySetting,
    Leeway, SessionJwtSettings, SigningAlgorithm, TokenPlace,
};
pub use token::MAX_TOKEN_BYTES;

use keys::AppKeys;
use token::{Claims, Presented};

use crate::metrics::METRICS;

/// How the finisher of a connect session is known, ready for use.
#[derive(Clone)]
pub enum Identity {
    /// The app's backend confirms ticket and subject.
    Confirm,
    /// The browser carries the app's session token.
    SessionJwt(SessionTokens),
}

impl Identity {
    /// What the settings ask for. `client` fetches the app's keys and needs to reach their host; see [`JWKS_TIMEOUTS`].
    pub fn new(settings: IdentitySettings, client: Client, clock: Arc<dyn Clock>) -> Self {
        match settings {
            IdentitySettings::Confirm => Self::Confirm,
            IdentitySettings::SessionJwt(settings) => {
                Self::SessionJwt(SessionTokens::new(*settings, client, clock))
            }
        }
    }
}

/// Verifies the app's session tokens. Cheap to clone; clones share the keys.
#[derive(Clone)]
pub struct SessionTokens {
    inner: Arc<Inner>,
}

struct Inner {
    settings: SessionJwtSettings,
    keys: AppKeys,
    clock: Arc<dyn Clock>,
}

impl SessionTokens {
    /// A verifier with these rules. Nothing is fetched yet.
    pub fn new(settings: SessionJwtSettings, client: Client, clock: Arc<dyn Clock>) -> Self {
        let keys = AppKeys::new(settings.jwks_url.clone(), client, Arc::clone(&clock));
        Self {
            inner: Arc::new(Inner {
                settings,
                keys,
                clock,
            }),
        }
    }

    /// Whose live session the request belongs to. Fetches the app's keys where those known are too old or do not hold the
    /// token's; [`IdentityError::fate`] says whether the same request may succeed later.
    pub async fn verify(
        &self,
        cookies: &[(String, String)],
        headers: &HeaderMap,
    ) -> Result<VerifiedSession, IdentityError> {
        let outcome = match carried::token(&self.inner.settings.place, cookies, headers) {
            Ok(token) => self.verify_token(token.expose()).await,
            Err(error) => Err(error),
        };
        METRICS.session_token(outcome.as_ref().err().map_or("verified", IdentityError::kind));
        outcome
    }

    async fn verify_token(&self, token: &str) -> Result<VerifiedSession, IdentityError> {
        let Inner {
            settings,
            keys,
            clock,
        } = &*self.inner;
        let presented = Presented::parse(token, &settings.algorithms)?;
        let known = keys.current().await?;
        let claims = match presented.verify(known.set()) {
            Err(error) if presented.newer_keys_may_cure(&error) => {
                presented.verify(keys.newer_than(&known).await?.set())?
            }
            outcome => outcome?,
        };
        session(&claims, settings, clock.as_ref())
    }
}

/// The claims as a session, if they are for us and for now.
fn session(
    claims: &Claims,
    settings: &SessionJwtSettings,
    clock: &dyn Clock,
) -> Result<VerifiedSession, IdentityError> {
    claims.check_issuer(&settings.issuer)?;
    claims.check_audience(&settings.audience)?;
    claims.check_times(clock.now(), settings.leeway)?;
    let user = claims
        .text(&settings.user_claim)?
        .ok_or_else(|| IdentityError::Claim(settings.user_claim.clone()))?;
    let organisation = match &settings.org_claim {
        Some(name) => claims.text(name)?,
        None => None,
    };
    Ok(VerifiedSession { user, organisation })
}

/// A live session of the app's, as its token says.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedSession {
    user: String,
    organisation: Option<String>,
}

impl VerifiedSession {
    /// True when the session is the subject's: `user:` with the user claim's value, or `org:` with the organisation
    /// claim's, byte for byte.
    pub fn names(&self, subject: &Subject) -> bool {
        let (prefix, value) = match subject.kind() {
            SubjectKind::User => ("user:", Some(&self.user)),
            SubjectKind::Org => ("org:", self.organisation.as_ref()),
        };
        subject.as_str().strip_prefix(prefix) == value.map(String::as_str)
    }
}

/// Without the values: they are personal data.
impl std::fmt::Debug for VerifiedSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedSession").finish_non_exhaustive()
    }
}

/// Who sits at a browser, as far as the identity mode asks.
#[derive(Debug)]
pub enum Presence {
    /// Nobody asked: the app's backend will say, with the ticket.
    Unasked,
    /// The browser carries no valid session token of the app's.
    Absent,
    /// The browser carries this one.
    Session(VerifiedSession),
}

impl Presence {
    /// Why a connect session of this subject is not for this browser, if so.
    pub(crate) fn objection(&self, subject: &Subject) -> Option<RefusalReason> {
        match self {
            Self::Absent => Some(RefusalReason::NotSignedIn),
            Self::Session(session) if !session.names(subject) => Some(RefusalReason::SubjectMismatch),
            Self::Unasked | Self::Session(_) => None,
        }
    }
}

impl Identity {
    /// Who sits at the browser of this request. An error is worth a retry: the app's keys cannot be had just now.
    pub async fn presence(
        &self,
        cookies: &[(String, String)],
        headers: &HeaderMap,
    ) -> Result<Presence, IdentityError> {
        match self {
            Self::Confirm => Ok(Presence::Unasked),
            Self::SessionJwt(tokens) => match tokens.verify(cookies, headers).await {
                Ok(session) => Ok(Presence::Session(session)),
                Err(error) if error.fate().is_retry() => Err(error),
                Err(error) => {
                    info!(
                        error = error.kind(),
                        "a browser came without a valid session token"
                    );
                    Ok(Presence::Absent)
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
