//! Where the token is in a request.

use actix_web::http::header::{self, HeaderMap};
use domicile_kernel::Secret;

use super::error::IdentityError;
use super::settings::TokenPlace;
use super::token::MAX_TOKEN_BYTES;

/// The one token in its place. What stands there twice is refused: a neighbour on the same site can set a cookie beside the
/// app's, but cannot take the app's away.
pub(super) fn token(
    place: &TokenPlace,
    cookies: &[(String, String)],
    headers: &HeaderMap,
) -> Result<Secret<String>, IdentityError> {
    let value = match place {
        TokenPlace::Cookie(name) => only(
            cookies
                .iter()
                .filter(|(sent, _)| sent == name.as_str())
                .map(|(_, value)| value.as_str()),
        )?,
        TokenPlace::Field(name) => {
            let value = only(headers.get_all(name.as_header()))?
                .to_str()
                .map_err(|_| IdentityError::Malformed)?;
            if *name.as_header() == header::AUTHORIZATION {
                bearer(value)?
            } else {
                value
            }
        }
    };
    match value.len() {
        0 => Err(IdentityError::Missing),
        length if length > MAX_TOKEN_BYTES => Err(IdentityError::TooLarge),
        _ => Ok(Secret::from(value)),
    }
}

fn only<T>(mut values: impl Iterator<Item = T>) -> Result<T, IdentityError> {
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(IdentityError::Missing),
        (Some(_), Some(_)) => Err(IdentityError::Duplicate),
    }
}

/// The token of `Bearer <token>` (RFC 6750, section 2.1); a scheme's case does not count (RFC 9110, section 11.1).
fn bearer(value: &str) -> Result<&str, IdentityError> {
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_matches(' ')),
        _ => Err(IdentityError::Missing),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn cookie() -> TokenPlace {
        TokenPlace::Cookie("session".parse().unwrap())
    }

    fn field(name: &str) -> TokenPlace {
        TokenPlace::Field(name.parse().unwrap())
    }

    fn found(
        place: &TokenPlace,
        cookies: &[(&str, &str)],
        fields: &[(&str, &str)],
    ) -> Result<String, &'static str> {
        let cookies: Vec<_> = cookies
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        token(place, &cookies, &headers)
            .map(|token| token.expose().clone())
            .map_err(|error| error.kind())
    }

    #[test]
    fn only_the_configured_place_is_looked_at() {
        let cookies = [("session", "a.b.c"), ("Session", "d.e.f")];
        let fields = [("x-session", "g.h.i")];
        assert_eq!(found(&cookie(), &cookies, &fields), Ok("a.b.c".to_owned()));
        assert_eq!(
            found(&field("X-Session"), &cookies, &fields),
            Ok("g.h.i".to_owned())
        );
        assert_eq!(found(&cookie(), &[], &fields), Err("missing"));
        assert_eq!(found(&field("x-session"), &cookies, &[]), Err("missing"));
    }

    #[test]
    fn a_token_that_stands_twice_is_refused_even_if_both_are_the_same() {
        let twice = [("session", "a.b.c"), ("other", "x"), ("session", "a.b.c")];
        assert_eq!(found(&cookie(), &twice, &[]), Err("duplicate"));
        let fields = [("x-session", "a.b.c"), ("x-session", "d.e.f")];
        assert_eq!(found(&field("x-session"), &[], &fields), Err("duplicate"));
    }

    #[test]
    fn authorization_needs_its_scheme() {
        let place = field("Authorization");
        for (value, expected) in [
            ("Bearer a.b.c", Ok("a.b.c".to_owned())),
            ("bearer  a.b.c", Ok("a.b.c".to_owned())),
            ("Basic a.b.c", Err("missing")),
            ("a.b.c", Err("missing")),
            ("Bearer ", Err("missing")),
        ] {
            assert_eq!(
                found(&place, &[], &[("authorization", value)]),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn empty_and_oversized_values_are_told_apart() {
        assert_eq!(found(&cookie(), &[("session", "")], &[]), Err("missing"));
        let long = "a".repeat(MAX_TOKEN_BYTES + 1);
        assert_eq!(found(&cookie(), &[("session", &long)], &[]), Err("too_large"));
    }
}
