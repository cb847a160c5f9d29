//! The endpoint challenge, `endpoint.url_validation` (Zoom: webhooks page, "Validate your webhook endpoint").
//!
//! The answer is an HMAC over a text of the caller's choice, under the secret that also signs events. So the text may
//! never look like a signed message, `v0:<timestamp>:<body>`: a [`PlainToken`] holds no colon, and no answer can ever
//! serve as an event's signature.

use std::fmt;
use std::str::FromStr;

use domicile_kernel::Secret;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::event::{Envelope, EventKind};
use crate::signature::WebhookSecret;
use crate::wire::{Object, Scalar};

/// The text that Zoom wants signed: 1 to 128 of `[A-Za-z0-9_.=+/-]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainToken(String);

/// A `plainToken` that is missing or that Zoom would not send; it is refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("plainToken must be 1 to {max} characters of A-Z, a-z, 0-9, '_', '.', '=', '+', '/' and '-'", max = PlainToken::MAX_LENGTH)]
pub struct InvalidPlainToken;

impl PlainToken {
    /// The most characters that are signed for a caller.
    pub const MAX_LENGTH: usize = 128;

    /// The token as Zoom sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PlainToken {
    type Err = InvalidPlainToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.=+/-".contains(&b);
        ((1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(allowed))
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidPlainToken)
    }
}

impl fmt::Display for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// With this begins the token of a challenge that the region sends to its own endpoint, to see whether it is answered. Such
/// a one is no sign of life of Zoom's.
pub const OWN_TOKEN_PREFIX: &str = "domicile.doctor.";

/// The body of the answer to a challenge, status 200, due within 3 seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChallengeAnswer {
    /// The token again.
    pub plain_token: String,
    /// Lower-case hexadecimal HMAC-SHA256 of the token under the secret.
    pub encrypted_token: String,
}

impl WebhookSecret {
    /// Answers a challenge under this secret.
    pub fn answer(&self, plain_token: &PlainToken) -> ChallengeAnswer {
        ChallengeAnswer {
            plain_token: plain_token.0.clone(),
            encrypted_token: hex::encode(self.mac(&[plain_token.0.as_bytes()])),
        }
    }
}

/// Answers a challenge under this secret token.
pub fn answer(token: &Secret<String>, plain_token: &PlainToken) -> ChallengeAnswer {
    WebhookSecret::keyed(token).answer(plain_token)
}

/// The token of a body that is a challenge; `None` for every other body.
pub fn parse(body: &[u8]) -> Option<Result<PlainToken, InvalidPlainToken>> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        payload: Object<Payload>,
    }
    #[derive(Deserialize)]
    struct Payload {
        #[serde(default, rename = "plainToken")]
        plain_token: Scalar,
    }

    let envelope = Envelope::parse(body).ok()?;
    if envelope.kind() != EventKind::UrlValidation {
        return None;
    }
    let plain_token = serde_json::from_slice::<Body>(body)
        .ok()
        .and_then(|body| body.payload.0)
        .and_then(|payload| payload.plain_token.text());
    Some(plain_token.ok_or(InvalidPlainToken).and_then(|text| text.parse()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::sign;
    use proptest::prelude::*;

    #[test]
    fn the_answer_is_the_hmac_of_the_token() {
        let answer = answer(
            &Secret::from("it-is-a-secret"),
            &"qgg8vlvZRS6UYooatFL8Aw".parse().unwrap(),
        );
        // Computed with Python's `hmac`.
        assert_eq!(
            serde_json::to_value(&answer).unwrap(),
            serde_json::json!({
                "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
                "encryptedToken": "4d04e2fcfe7128e68fbd6d426e157dd1c0e10a66fd9637b724281f3924598563",
            })
        );
    }

    #[test]
    fn a_challenge_is_told_from_every_other_body() {
        let zoom = br#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#;
        assert_eq!(
            parse(zoom),
            Some(Ok(PlainToken("qgg8vlvZRS6UYooatFL8Aw".to_owned())))
        );
        for body in [
            &br#"{"event":"endpoint.url_validation"}"#[..],
            br#"{"event":"endpoint.url_validation","payload":null}"#,
            br#"{"event":"endpoint.url_validation","payload":{"plainToken":7}}"#,
            br#"{"event":"endpoint.url_validation","payload":{"plainToken":"v0:1:x"}}"#,
        ] {
            assert_eq!(parse(body), Some(Err(InvalidPlainToken)));
        }
        for body in [
            &br#"{"event":"recording.completed","payload":{"plainToken":"abc"}}"#[..],
            br#"{"payload":{"plainToken":"abc"}}"#,
            b"",
            b"\xff",
            b"[]",
        ] {
            assert_eq!(parse(body), None);
        }
    }

    proptest! {
        #[test]
        fn no_token_has_a_colon(text in ".{0,140}") {
            match text.parse::<PlainToken>() {
                Ok(token) => {
                    prop_assert!(!token.as_str().contains(':'));
                    prop_assert_eq!(token.as_str(), text);
                }
                Err(InvalidPlainToken) => prop_assert!(
                    text.is_empty()
                        || text.len() > PlainToken::MAX_LENGTH
                        || text.chars().any(|c| !(c.is_ascii_alphanumeric() || "_.=+/-".contains(c)))
                ),
            }
        }

        #[test]
        fn a_message_to_be_signed_is_never_a_token(timestamp in 0_i64..99_999_999_999, body in "[a-z{}]{0,40}") {
            let message = format!("v0:{timestamp}:{body}");
            prop_assert!(message.parse::<PlainToken>().is_err());
        }

        #[test]
        fn no_answer_is_the_signature_of_a_body_made_of_the_token(token in "[A-Za-z0-9_.=+/-]{1,128}", timestamp in 0_i64..9_999_999_999) {
            let secret = Secret::from("s");
            let answer = answer(&secret, &token.parse().unwrap());
            prop_assert_ne!(format!("v0={}", answer.encrypted_token), sign(&secret, timestamp, token.as_bytes()));
        }
    }
}
