//! Why a request carries no session of the app's.

use std::sync::Arc;

use domicile_egress::EgressError;
use domicile_kernel::Fate;
use thiserror::Error;

use super::settings::ClaimName;

/// A request whose sender is not known. No variant holds any text of a token (INV-3).
#[derive(Debug, Error)]
pub enum IdentityError {
    /// There is no token in the place where it is looked for: nobody is signed in.
    #[error("the request carries no session token")]
    Missing,
    /// Two tokens are in that place, and one of them may be somebody else's doing.
    #[error("the request carries more than one session token")]
    Duplicate,
    /// It is longer than [`MAX_TOKEN_BYTES`](super::MAX_TOKEN_BYTES).
    #[error("the session token is too long")]
    TooLarge,
    /// It is no signed JWT in compact form, or a member of it has the wrong type or stands twice.
    #[error("the session token is no well-formed signed JWT")]
    Malformed,
    /// It says that it must not be used by who does not know an extension (RFC 7515, section 4.1.11).
    #[error("the session token has critical header parameters, and none is known here")]
    CriticalHeader,
    /// Its `typ` is that of a token for something else (RFC 8725, section 3.11).
    #[error("the token is for something else than a session")]
    WrongType,
    /// Its `alg` is not among those that the settings allow.
    #[error("the session token's algorithm is not allowed by DOMICILE_APP_JWT_ALGORITHMS")]
    AlgorithmNotAllowed,
    /// It names no key, and the app has published several.
    #[error("the session token names no key, but the app has published several")]
    KeyNotNamed,
    /// It names a key that the app does not publish.
    #[error("the session token names a key that the app does not publish")]
    UnknownKey,
    /// The key is of another type or for another algorithm.
    #[error("the session token's key is not for its algorithm")]
    KeyMismatch,
    /// The key did not make the signature.
    #[error("the session token's signature is wrong")]
    BadSignature,
    /// `iss` is missing or another one.
    #[error("the session token is not from DOMICILE_APP_JWT_ISSUER")]
    WrongIssuer,
    /// `aud` is missing or does not hold ours.
    #[error("the session token is not for DOMICILE_APP_JWT_AUDIENCE")]
    WrongAudience,
    /// A claim that is a time is no time, or `exp` is missing.
    #[error("the session token's {0} is missing or no time")]
    InvalidTime(&'static str),
    /// `exp` has passed.
    #[error("the session token has expired")]
    Expired,
    /// `nbf` or `iat` is still to come.
    #[error("the session token is not valid yet")]
    NotYetValid,
    /// The claim that names somebody is missing, empty or no text.
    #[error("the session token's claim {0} names nobody")]
    Claim(ClaimName),
    /// The app's keys are not known, or not surely all of them.
    #[error("the app's keys cannot be fetched from DOMICILE_APP_JWT_JWKS_URL")]
    KeysUnavailable(#[source] Arc<JwksError>),
}

impl IdentityError {
    /// Whether the same request may succeed later.
    pub fn fate(&self) -> Fate {
        match self {
            Self::KeysUnavailable(_) => Fate::RETRY,
            _ => Fate::Final,
        }
    }

    /// What is wrong, as a metric and the audit name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Duplicate => "duplicate",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::CriticalHeader => "critical_header",
            Self::WrongType => "wrong_type",
            Self::AlgorithmNotAllowed => "algorithm_not_allowed",
            Self::KeyNotNamed => "key_not_named",
            Self::UnknownKey => "unknown_key",
            Self::KeyMismatch => "key_mismatch",
            Self::BadSignature => "bad_signature",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::InvalidTime(_) => "invalid_time",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Claim(_) => "claim_missing",
            Self::KeysUnavailable(_) => "keys_unavailable",
        }
    }
}

/// Why the app's keys could not be fetched.
#[derive(Debug, Error)]
pub enum JwksError {
    /// No answer came, or none that is small enough.
    #[error("the app's keys could not be read")]
    Egress(#[from] EgressError),
    /// The answer is no 200; a redirect is not followed.
    #[error("the app answered {0} where its keys should be")]
    Status(u16),
    /// The body is no JWK Set (RFC 7517, section 5).
    #[error("what the app publishes is no JWK Set")]
    NotASet,
    /// More keys than anybody rotates.
    #[error("the app publishes more than {0} keys")]
    TooManyKeys(usize),
    /// The request could not be formed.
    #[error("DOMICILE_APP_JWT_JWKS_URL cannot be requested")]
    Request,
    /// The fetch has not ended yet, or was broken off.
    #[error("the fetch of the app's keys did not end")]
    Interrupted,
}
