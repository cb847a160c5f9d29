//! What the roof configures, as values that cannot be wrong.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use actix_web::http::header::HeaderName;
use chrono::TimeDelta;
use jsonwebtoken::Algorithm;
use thiserror::Error;
use url::Url;

/// How the finisher of a connect session is known.
#[derive(Debug, Clone)]
pub enum IdentitySettings {
    /// The app's backend confirms ticket and subject.
    Confirm,
    /// The browser carries the app's session token.
    SessionJwt(Box<SessionJwtSettings>),
}

/// `DOMICILE_APP_IDENTITY`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityMode {
    /// `confirm`
    Confirm,
    /// `session-jwt`
    SessionJwt,
}

/// `DOMICILE_APP_JWT_*`: which tokens are the app's sessions.
#[derive(Debug, Clone)]
pub struct SessionJwtSettings {
    /// The only `iss` (RFC 7519, section 4.1.1).
    pub issuer: String,
    /// The value that `aud` must hold (section 4.1.3).
    pub audience: String,
    /// Where the app publishes its keys (RFC 7517, section 5).
    pub jwks_url: Url,
    /// The only algorithms (RFC 8725, section 3.1).
    pub algorithms: Algorithms,
    /// Where in a request the token is.
    pub place: TokenPlace,
    /// The claim that names the user.
    pub user_claim: ClaimName,
    /// The claim that names the organisation, if one does.
    pub org_claim: Option<ClaimName>,
    /// How far the app's clock may be from ours.
    pub leeway: Leeway,
}

/// Why a text is no such setting. It never holds the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidIdentitySetting {
    /// Neither `confirm` nor `session-jwt`.
    #[error("is neither confirm nor session-jwt")]
    Mode,
    /// An algorithm with which whoever can verify can also sign.
    #[error("names {0}, whose key would be a shared secret; use an algorithm with a key pair, such as ES256")]
    Symmetric(&'static str),
    /// Unsigned tokens.
    #[error("names none: tokens without a signature are never accepted")]
    Unsigned,
    /// No algorithm of [`SigningAlgorithm`].
    #[error(
        "holds something that is no algorithm; known are {}",
        SigningAlgorithm::names()
    )]
    UnknownAlgorithm,
    /// No algorithm at all.
    #[error("names no algorithm")]
    NoAlgorithm,
    /// Nothing that a cookie can be called (RFC 6265, section 4.1.1).
    #[error("is no name of a cookie")]
    Cookie,
    /// Nothing that a header field can be called (RFC 9110, section 5.1).
    #[error("is no name of a header field")]
    Field,
    /// The field that holds cookies, which has a setting of its own.
    #[error("must not be the field that holds the cookies; name the cookie in DOMICILE_APP_JWT_COOKIE")]
    CookieField,
    /// Nothing that can name somebody.
    #[error(
        "is no claim that names somebody: 1 to 100 visible characters, and not one of iss, aud, exp, nbf, iat, jti"
    )]
    Claim,
    /// Not a whole number of seconds in the range.
    #[error("is no whole number of seconds from 0 to {}", Leeway::MAX_SECONDS)]
    Leeway,
}

impl FromStr for IdentityMode {
    type Err = InvalidIdentitySetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "confirm" => Ok(Self::Confirm),
            "session-jwt" => Ok(Self::SessionJwt),
            _ => Err(InvalidIdentitySetting::Mode),
        }
    }
}

/// A signature algorithm with a key pair (RFC 7518, section 3.1; RFC 8037, section 3.1). There is no other kind here: a
/// shared secret would let the region make sessions, and `none` anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// Its name in `alg`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    pub(super) fn library(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Rs384 => Algorithm::RS384,
            Self::Rs512 => Algorithm::RS512,
            Self::Ps256 => Algorithm::PS256,
            Self::Ps384 => Algorithm::PS384,
            Self::Ps512 => Algorithm::PS512,
            Self::Es256 => Algorithm::ES256,
            Self::Es384 => Algorithm::ES384,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

impl FromStr for SigningAlgorithm {
    type Err = InvalidIdentitySetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(algorithm) = Self::ALL.into_iter().find(|known| known.as_str() == text) {
            return Ok(algorithm);
        }
        Err(match text {
            "HS256" => InvalidIdentitySetting::Symmetric("HS256"),
            "HS384" => InvalidIdentitySetting::Symmetric("HS384"),
            "HS512" => InvalidIdentitySetting::Symmetric("HS512"),
            none if none.eq_ignore_ascii_case("none") => InvalidIdentitySetting::Unsigned,
            _ => InvalidIdentitySetting::UnknownAlgorithm,
        })
    }
}

/// The algorithms that are allowed, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithms(BTreeSet<SigningAlgorithm>);

impl Algorithms {
    /// The allowed algorithm of this name.
    pub(super) fn named(&self, name: &str) -> Option<SigningAlgorithm> {
        self.0.iter().copied().find(|allowed| allowed.as_str() == name)
    }
}

impl FromStr for Algorithms {
    type Err = InvalidIdentitySetting;

    /// A comma list.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let algorithms = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(str::parse)
            .collect::<Result<BTreeSet<_>, _>>()?;
        if algorithms.is_empty() {
            return Err(InvalidIdentitySetting::NoAlgorithm);
        }
        Ok(Self(algorithms))
    }
}

/// The one place in a request where the token is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlace {
    /// In this cookie.
    Cookie(CookieName),
    /// In this header field: after `Bearer` in `Authorization`, else alone.
    Field(FieldName),
}

/// The name of a cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieName(String);

impl CookieName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CookieName {
    type Err = InvalidIdentitySetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // RFC 6265, section 4.1.1: a token of RFC 2616, section 2.2.
        let token = |b: u8| b.is_ascii_graphic() && !br#"()<>@,;:\"/[]?={}"#.contains(&b);
        if text.is_empty() || text.len() > 200 || !text.bytes().all(token) {
            return Err(InvalidIdentitySetting::Cookie);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName(HeaderName);

impl FieldName {
    pub(super) fn as_header(&self) -> &HeaderName {
        &self.0
    }
}

impl FromStr for FieldName {
    type Err = InvalidIdentitySetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = HeaderName::from_str(text).map_err(|_| InvalidIdentitySetting::Field)?;
        if name == actix_web::http::header::COOKIE {
            return Err(InvalidIdentitySetting::CookieField);
        }
        Ok(Self(name))
    }
}

/// The name of a claim that names somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimName(String);

impl ClaimName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClaimName {
    type Err = InvalidIdentitySetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let about_the_token = ["iss", "aud", "exp", "nbf", "iat", "jti"].contains(&text);
        let visible = text.bytes().all(|b| b.is_ascii_graphic());
        if text.is_empty() || text.len() > 100 || !visible || about_the_token {
            return Err(InvalidIdentitySetting::Claim);
        }
        Ok(Self(text.to_owned()))
    }
}

/// How far the app's clock may be from ours (RFC 7519, section 4.1.4: "no more than a few minutes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leeway(TimeDelta);

impl Leeway {
    /// The most.
    pub const MAX_SECONDS: u8 = 120;

    pub(super) fn as_delta(self) -> TimeDelta {
        self.0
    }
}

impl FromStr for Leeway {
    type Err = InvalidIdentitySetting;

    /// Whole seconds.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<u8>()
            .ok()
            .filter(|seconds| *seconds <= Self::MAX_SECONDS)
            .map(|seconds| Self(TimeDelta::seconds(seconds.into())))
            .ok_or(InvalidIdentitySetting::Leeway)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_with_a_shared_secret_or_none_are_refused() {
        for (text, error) in [
            ("HS256", InvalidIdentitySetting::Symmetric("HS256")),
            ("ES256,HS512", InvalidIdentitySetting::Symmetric("HS512")),
            ("none", InvalidIdentitySetting::Unsigned),
            ("ES256, NONE", InvalidIdentitySetting::Unsigned),
            ("es256", InvalidIdentitySetting::UnknownAlgorithm),
            ("RSA-OAEP", InvalidIdentitySetting::UnknownAlgorithm),
            (" , ", InvalidIdentitySetting::NoAlgorithm),
        ] {
            assert_eq!(text.parse::<Algorithms>(), Err(error), "{text}");
        }
    }

    #[test]
    fn only_the_listed_algorithms_are_allowed() {
        let algorithms: Algorithms = "RS256, EdDSA".parse().unwrap();
        assert_eq!(algorithms.named("RS256"), Some(SigningAlgorithm::Rs256));
        assert_eq!(algorithms.named("EdDSA"), Some(SigningAlgorithm::EdDsa));
        assert_eq!(algorithms.named("RS512"), None);
        assert_eq!(algorithms.named("rs256"), None);
        for algorithm in SigningAlgorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
        }
    }

    #[test]
    fn names_are_those_that_the_wire_can_carry() {
        for text in ["session", "__Secure-session", "a.b_c"] {
            assert!(text.parse::<CookieName>().is_ok(), "{text}");
        }
        for text in ["", "a b", "a=b", "a;b", "sé", "a\tb"] {
            assert!(text.parse::<CookieName>().is_err(), "{text}");
        }
        assert!("X-App-Session".parse::<FieldName>().is_ok());
        assert_eq!(
            "Cookie".parse::<FieldName>(),
            Err(InvalidIdentitySetting::CookieField)
        );
        assert_eq!("a b".parse::<FieldName>(), Err(InvalidIdentitySetting::Field));
        for text in ["sub", "https://app.example/user", "org_id"] {
            assert!(text.parse::<ClaimName>().is_ok(), "{text}");
        }
        for text in ["", "iss", "exp", "a b", "a\nb"] {
            assert!(text.parse::<ClaimName>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_leeway_ends_at_two_minutes() {
        assert_eq!("0".parse::<Leeway>().unwrap().as_delta(), TimeDelta::zero());
        assert_eq!(
            "120".parse::<Leeway>().unwrap().as_delta(),
            TimeDelta::seconds(120)
        );
        for text in ["121", "-1", "1.5", "", "30s", "99999"] {
            assert_eq!(
                text.parse::<Leeway>(),
                Err(InvalidIdentitySetting::Leeway),
                "{text}"
            );
        }
    }
}
