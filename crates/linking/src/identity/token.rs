//! One signed JWT in compact form (RFC 7515, section 3.1), as RFC 8725 wants it read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use domicile_kernel::Timestamp;
use serde_json::Value;

use super::error::IdentityError;
use super::jwks::KeySet;
use super::object::UniqueObject;
use super::settings::{Algorithms, ClaimName, Leeway, SigningAlgorithm};

/// Longer tokens are refused unread, in bytes; browsers give a cookie 4096.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// What a session token's `typ` may be, where it says (RFC 7519, section 5.1; RFC 9068, section 2.1). Anything else, such as
/// `logout+jwt`, is the same issuer's token for another purpose.
const SESSION_TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// A token whose header has been read, and nothing else: not verified.
pub(super) struct Presented<'a> {
    /// Header and claims, as they were signed.
    message: &'a str,
    claims: &'a str,
    signature: &'a str,
    algorithm: SigningAlgorithm,
    key_id: Option<String>,
}

impl<'a> Presented<'a> {
    /// Reads the header. Its `jwk`, `jku`, `x5c` and `x5u` are whatever the sender likes and are never looked at.
    pub(super) fn parse(token: &'a str, allowed: &Algorithms) -> Result<Self, IdentityError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(IdentityError::TooLarge);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(IdentityError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(IdentityError::Malformed)?;
        if claims.contains('.') {
            return Err(IdentityError::Malformed);
        }
        let header = object(header)?;
        if header.has("crit") {
            return Err(IdentityError::CriticalHeader);
        }
        check_type(header.get("typ"))?;
        let algorithm = match header.get("alg") {
            Some(Value::String(name)) => allowed.named(name).ok_or(IdentityError::AlgorithmNotAllowed)?,
            _ => return Err(IdentityError::Malformed),
        };
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(key_id)) => Some(key_id.clone()),
            Some(_) => return Err(IdentityError::Malformed),
        };
        Ok(Self {
            message,
            claims,
            signature,
            algorithm,
            key_id,
        })
    }

    /// The claims, if one of these keys made the signature.
    pub(super) fn verify(&self, keys: &KeySet) -> Result<Claims, IdentityError> {
        for key in keys.candidates(self.key_id.as_deref(), self.algorithm)? {
            let algorithm = self.algorithm.library();
            // The library checks the signature alone: claims are checked here, against the clock that was handed in (INV-9).
            // Its errors are a signature that is no base64url and a key that is no point of its curve.
            if jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), key, algorithm)
                .unwrap_or(false)
            {
                return object(self.claims).map(Claims);
            }
        }
        Err(IdentityError::BadSignature)
    }

    /// True when the app may have made the key since the keys were fetched. A key without a name shows its change by a
    /// signature that no longer fits.
    pub(super) fn newer_keys_may_cure(&self, error: &IdentityError) -> bool {
        match error {
            IdentityError::UnknownKey => true,
            IdentityError::BadSignature => self.key_id.is_none(),
            _ => false,
        }
    }
}

fn check_type(typ: Option<&Value>) -> Result<(), IdentityError> {
    match typ {
        None => Ok(()),
        Some(Value::String(typ)) => {
            let typ = typ.to_ascii_lowercase();
            let typ = typ.strip_prefix("application/").unwrap_or(&typ);
            if SESSION_TYPES.contains(&typ) {
                Ok(())
            } else {
                Err(IdentityError::WrongType)
            }
        }
        Some(_) => Err(IdentityError::Malformed),
    }
}

/// One part of the token: an object in base64url without padding (RFC 7515, section 2).
fn object(part: &str) -> Result<UniqueObject, IdentityError> {
    let json = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| IdentityError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| IdentityError::Malformed)
}

/// The claims of a token whose signature is good.
pub(super) struct Claims(UniqueObject);

impl Claims {
    /// RFC 7519, section 4.1.1: compared as it is.
    pub(super) fn check_issuer(&self, issuer: &str) -> Result<(), IdentityError> {
        match self.0.get("iss") {
            Some(Value::String(theirs)) if theirs == issuer => Ok(()),
            _ => Err(IdentityError::WrongIssuer),
        }
    }

    /// RFC 7519, section 4.1.3: a text or a list of texts.
    pub(super) fn check_audience(&self, audience: &str) -> Result<(), IdentityError> {
        let ours = match self.0.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(audience)),
            _ => false,
        };
        if ours {
            Ok(())
        } else {
            Err(IdentityError::WrongAudience)
        }
    }

    /// RFC 7519, sections 4.1.4 to 4.1.6. `exp` must be there: a session without an end is none.
    pub(super) fn check_times(&self, now: Timestamp, leeway: Leeway) -> Result<(), IdentityError> {
        let leeway = leeway.as_delta();
        let expires = self.time("exp")?.ok_or(IdentityError::InvalidTime("exp"))?;
        let begins = [self.time("nbf")?, self.time("iat")?];
        if shift(now, -leeway) >= expires {
            return Err(IdentityError::Expired);
        }
        if begins
            .into_iter()
            .flatten()
            .any(|begin| begin > shift(now, leeway))
        {
            return Err(IdentityError::NotYetValid);
        }
        Ok(())
    }

    /// The text of a claim that names somebody; an empty one names nobody.
    pub(super) fn text(&self, name: &ClaimName) -> Result<Option<String>, IdentityError> {
        match self.0.get(name.as_str()) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(IdentityError::Claim(name.clone())),
        }
    }

    /// A `NumericDate` (RFC 7519, section 2): seconds since 1970, also with a fraction.
    fn time(&self, name: &'static str) -> Result<Option<Timestamp>, IdentityError> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let time = match (value.as_i64(), value.as_f64()) {
            (Some(seconds), _) => Timestamp::from_timestamp(seconds, 0),
            (None, Some(seconds)) => from_fraction(seconds),
            _ => None,
        };
        time.map(Some).ok_or(IdentityError::InvalidTime(name))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked; parts of a microsecond do not count"
)]
fn from_fraction(seconds: f64) -> Option<Timestamp> {
    // Up to here a double holds every microsecond: the year 2255.
    const LIMIT: f64 = 9.0e9;
    (seconds.abs() < LIMIT)
        .then(|| Timestamp::from_timestamp_micros((seconds * 1.0e6) as i64))
        .flatten()
}

fn shift(time: Timestamp, by: TimeDelta) -> Timestamp {
    time.checked_add_signed(by).unwrap_or(time)
}
