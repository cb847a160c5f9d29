//! When a download token ends.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use domicile_kernel::{Secret, Timestamp};
use serde::Deserialize;

/// The `exp` of a token that is a JWT (RFC 7519 section 4.1.4), unverified: it only saves a request that would be refused.
pub(super) fn expires_at(token: &Secret<String>) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.expose().split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    DateTime::from_timestamp(claims.exp, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_jwt_is_read_and_of_anything_else_not() {
        let token = |claims: &str| Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)));
        assert_eq!(
            expires_at(&token(r#"{"exp":1780315200,"mid":"x"}"#)),
            DateTime::from_timestamp(1_780_315_200, 0)
        );
        for other in [
            token("{}"),
            token("no"),
            Secret::from("opaque"),
            Secret::from("a.%%.b"),
        ] {
            assert_eq!(expires_at(&other), None);
        }
    }
}
