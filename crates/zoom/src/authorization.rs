//! What a subscription's settings at Zoom may add to each request besides the signature: HTTP Basic, an OAuth token as
//! Bearer, or a header of one's own whose name Zoom begins with `x-` (Zoom: webhooks page, `custom_header`).
//!
//! It proves less than the signature, which covers the body, and is checked beside it, never instead. Only digests of
//! the expected values are held: a comparison takes the same time whatever was sent, and there is nothing to print.

use std::borrow::Cow;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

const AUTHORIZATION: &str = "authorization";
const DIGEST_BYTES: usize = 32;
const MAX_NAME_BYTES: usize = 64;

/// One header that must be there, once, with one of the expected values.
#[derive(Clone)]
pub struct RequiredHeader {
    name: Cow<'static, str>,
    // Several during a rotation, never none.
    digests: Vec<[u8; DIGEST_BYTES]>,
}

/// Why a request's headers are not those that the subscription adds. It holds neither names nor values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequiredHeaderError {
    /// It is not there.
    #[error("a header that the subscription's settings add to every request is missing")]
    Missing,
    /// It is there more than once, so two readers could see two values.
    #[error("a header that the subscription's settings add to every request was sent more than once")]
    Duplicated,
    /// It has another value.
    #[error("a header that the subscription's settings add to every request has the wrong value")]
    Mismatch,
}

impl RequiredHeader {
    /// The header's name, in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks the values that this header has in a request, each with all expected ones, in constant time.
    pub fn check<'a>(&self, values: impl IntoIterator<Item = &'a [u8]>) -> Result<(), RequiredHeaderError> {
        let mut values = values.into_iter();
        let value = values.next().ok_or(RequiredHeaderError::Missing)?;
        if values.next().is_some() {
            return Err(RequiredHeaderError::Duplicated);
        }
        let digest = self.digest(value);
        let matched = self.digests.iter().fold(Choice::from(0), |matched, expected| {
            matched | expected.ct_eq(&digest)
        });
        if bool::from(matched) {
            Ok(())
        } else {
            Err(RequiredHeaderError::Mismatch)
        }
    }

    fn digest(&self, value: &[u8]) -> [u8; DIGEST_BYTES] {
        if self.name == AUTHORIZATION {
            credentials_digest(value)
        } else {
            Sha256::digest(value).into()
        }
    }
}

// The scheme may be in any case, and one or more spaces follow it (RFC 9110 sections 11.1 and 11.4).
fn credentials_digest(value: &[u8]) -> [u8; DIGEST_BYTES] {
    let scheme_ends = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(scheme_ends);
    let credentials = rest.trim_ascii_start();
    let mut hash = Sha256::new();
    for byte in scheme {
        hash.update([byte.to_ascii_lowercase()]);
    }
    hash.update(b" ");
    hash.update(credentials);
    hash.finalize().into()
}

/// Why the expected `Authorization` of a subscription is refused. The value is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidAuthorization {
    /// Nothing could ever match.
    #[error("holds no entry; write the whole value of the header, Basic and base64 or Bearer and a token")]
    None,
    /// Neither of the two schemes.
    #[error(
        "entry number {position} must be the whole value of the header: Basic or Bearer, a space, the credentials"
    )]
    Form {
        /// Counted from 1.
        position: usize,
    },
    /// What a Basic header holds is base64 of `user:password` (RFC 7617 section 2).
    #[error("entry number {position}: after Basic stands the base64 of user:password")]
    Basic {
        /// Counted from 1.
        position: usize,
    },
}

/// The values of `Authorization` of which one must be there: `Basic <base64>` or `Bearer <token>`, a comma list.
#[derive(Clone)]
pub struct RequiredAuthorization(pub RequiredHeader);

impl FromStr for RequiredAuthorization {
    type Err = InvalidAuthorization;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digests = entries(text)
            .map(|(position, entry)| {
                let (scheme, credentials) = entry
                    .split_once(' ')
                    .map(|(scheme, rest)| (scheme, rest.trim()))
                    .filter(|(_, credentials)| is_token68(credentials))
                    .ok_or(InvalidAuthorization::Form { position })?;
                if scheme.eq_ignore_ascii_case("basic") {
                    let plain = STANDARD
                        .decode(credentials)
                        .map_err(|_| InvalidAuthorization::Basic { position })?;
                    if !plain.contains(&b':') {
                        return Err(InvalidAuthorization::Basic { position });
                    }
                } else if !scheme.eq_ignore_ascii_case("bearer") {
                    return Err(InvalidAuthorization::Form { position });
                }
                Ok(credentials_digest(format!("{scheme} {credentials}").as_bytes()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if digests.is_empty() {
            return Err(InvalidAuthorization::None);
        }
        Ok(Self(RequiredHeader {
            name: Cow::Borrowed(AUTHORIZATION),
            digests,
        }))
    }
}

/// Why the expected header of one's own is refused. The value is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidOwnHeader {
    /// Nothing could ever match.
    #[error("holds no entry; write x-name: value")]
    None,
    /// No name, no value, or a comma inside a value.
    #[error("entry number {position} is not x-name: value; a value is visible ASCII without a comma")]
    Form {
        /// Counted from 1.
        position: usize,
    },
    /// Zoom begins the name with `x-`; its own names and those of proxies mean something else.
    #[error(
        "the name in entry number {position} must be x- and a-z, 0-9 and '-', at most 64 characters, and not begin with x-zm-, x-forwarded- or x-ssl-"
    )]
    Name {
        /// Counted from 1.
        position: usize,
    },
    /// Two names would be two headers, of which Zoom sends one.
    #[error(
        "all entries must have the same name: Zoom sends one header, and several entries are its old and new values"
    )]
    Names,
}

/// The header of one's own, `x-name: value`, a comma list of one name with its old and new values.
#[derive(Clone)]
pub struct RequiredOwnHeader(pub RequiredHeader);

impl FromStr for RequiredOwnHeader {
    type Err = InvalidOwnHeader;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut header: Option<RequiredHeader> = None;
        for (position, entry) in entries(text) {
            let (name, value) = entry.split_once(':').ok_or(InvalidOwnHeader::Form { position })?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if value.is_empty() || !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
                return Err(InvalidOwnHeader::Form { position });
            }
            if !is_own_name(&name) {
                return Err(InvalidOwnHeader::Name { position });
            }
            let digest = Sha256::digest(value).into();
            match &mut header {
                Some(header) if header.name == name => header.digests.push(digest),
                Some(_) => return Err(InvalidOwnHeader::Names),
                None => {
                    header = Some(RequiredHeader {
                        name: Cow::Owned(name),
                        digests: vec![digest],
                    });
                }
            }
        }
        header.map(Self).ok_or(InvalidOwnHeader::None)
    }
}

fn entries(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries.zip(1..).map(|(entry, position)| (position, entry))
}

// RFC 9110 section 11.2.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty()
        && body
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

fn is_own_name(name: &str) -> bool {
    let taken = ["x-zm-", "x-forwarded-", "x-ssl-"];
    name.len() <= MAX_NAME_BYTES
        && name.strip_prefix("x-").is_some_and(|rest| {
            !rest.is_empty()
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
        && !taken.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn authorization(text: &str) -> Result<RequiredHeader, InvalidAuthorization> {
        text.parse::<RequiredAuthorization>().map(|required| required.0)
    }

    fn own(text: &str) -> Result<RequiredHeader, InvalidOwnHeader> {
        text.parse::<RequiredOwnHeader>().map(|required| required.0)
    }

    fn check(header: &RequiredHeader, values: &[&str]) -> Result<(), RequiredHeaderError> {
        header.check(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn basic_and_bearer_are_taken_in_any_case_of_the_scheme() {
        // RFC 7617 section 2.
        let header = authorization("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==, bearer old-token").unwrap();
        assert_eq!(header.name(), "authorization");
        for value in [
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "BASIC  QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Bearer old-token",
        ] {
            assert_eq!(check(&header, &[value]), Ok(()), "{value}");
        }
        for value in [
            "",
            "Basic",
            "Basic ",
            "Basic qWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Basic old-token",
            "Bearer old-token2",
            "Bearerold-token",
            "Bearer OLD-TOKEN",
        ] {
            assert_eq!(
                check(&header, &[value]),
                Err(RequiredHeaderError::Mismatch),
                "{value}"
            );
        }
    }

    #[test]
    fn missing_and_duplicated_are_told_apart() {
        let header = own("X-Domicile-Key: s3cret").unwrap();
        assert_eq!(header.name(), "x-domicile-key");
        assert_eq!(check(&header, &["s3cret"]), Ok(()));
        assert_eq!(check(&header, &[]), Err(RequiredHeaderError::Missing));
        assert_eq!(
            check(&header, &["s3cret", "s3cret"]),
            Err(RequiredHeaderError::Duplicated)
        );
        assert_eq!(check(&header, &["s3cre"]), Err(RequiredHeaderError::Mismatch));
    }

    #[test]
    fn old_and_new_value_both_pass_during_a_rotation() {
        let header = own("x-key: new, x-key: old: with colon").unwrap();
        assert_eq!(check(&header, &["new"]), Ok(()));
        assert_eq!(check(&header, &["old: with colon"]), Ok(()));
    }

    #[test]
    fn a_setting_that_could_never_match_is_a_fault_without_its_value() {
        for (text, fault) in [
            (" , ", InvalidAuthorization::None),
            ("hunter2", InvalidAuthorization::Form { position: 1 }),
            ("Digest hunter2", InvalidAuthorization::Form { position: 1 }),
            ("Bearer a, Bearer", InvalidAuthorization::Form { position: 2 }),
            ("Bearer hunter 2", InvalidAuthorization::Form { position: 1 }),
            ("Basic user:hunter2", InvalidAuthorization::Form { position: 1 }),
            ("Basic hunter2", InvalidAuthorization::Basic { position: 1 }),
            ("Basic aHVudGVyMg==", InvalidAuthorization::Basic { position: 1 }),
        ] {
            assert_eq!(authorization(text).err(), Some(fault), "{text}");
            assert!(!fault.to_string().contains("hunter"));
        }
        for (text, fault) in [
            ("", InvalidOwnHeader::None),
            ("hunter2", InvalidOwnHeader::Form { position: 1 }),
            ("x-a:", InvalidOwnHeader::Form { position: 1 }),
            ("x-a: hunter2,hunter3", InvalidOwnHeader::Form { position: 2 }),
            ("x-a: h\u{e4}nter", InvalidOwnHeader::Form { position: 1 }),
            ("authorization: a", InvalidOwnHeader::Name { position: 1 }),
            ("x-: a", InvalidOwnHeader::Name { position: 1 }),
            ("x-zm-signature: a", InvalidOwnHeader::Name { position: 1 }),
            ("x-forwarded-for: a", InvalidOwnHeader::Name { position: 1 }),
            ("x-a b: a", InvalidOwnHeader::Name { position: 1 }),
            ("x-a: hunter2, x-b: hunter3", InvalidOwnHeader::Names),
        ] {
            assert_eq!(own(text).err(), Some(fault), "{text}");
            assert!(!fault.to_string().contains("hunter"));
        }
    }

    proptest! {
        #[test]
        fn only_the_expected_value_passes(expected in "[!-+\\--~]{1,40}", other in "[ -~]{0,40}") {
            let header = own(&format!("x-key: {expected}")).unwrap();
            prop_assert_eq!(check(&header, &[&expected]), Ok(()));
            prop_assert_eq!(check(&header, &[&other]).is_ok(), other == expected);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}", value in proptest::collection::vec(any::<u8>(), 0..60)) {
            for header in authorization(&text).ok().into_iter().chain(own(&text).ok()) {
                let _ = header.check([value.as_slice()]);
            }
        }
    }
}
