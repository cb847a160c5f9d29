//! Zoom's signature and headers (Zoom: webhooks page; platform: headers, signature).

use domicile_kernel::Rng;

use crate::model::webhook::SignatureMode;
use crate::random;
use crate::signing;

/// `v0=` and the HMAC-SHA256 over `v0:{timestamp}:{body}`, lower-case hexadecimal.
pub(crate) fn signature(secret: &str, timestamp: i64, body: &[u8]) -> String {
    let stamp = timestamp.to_string();
    format!(
        "v0={}",
        signing::hmac_hex(secret.as_bytes(), &[b"v0:", stamp.as_bytes(), b":", body])
    )
}

/// The headers of one attempt.
pub(crate) fn headers(
    secret: &str,
    mode: SignatureMode,
    timestamp: i64,
    body: &[u8],
    request_id: &str,
    tracking_id: &str,
    rng: &dyn Rng,
) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("user-agent", "Zoom Marketplace/1.0a".to_owned()),
        ("content-type", "application/json; charset=utf-8".to_owned()),
        ("x-zm-request-timestamp", timestamp.to_string()),
        ("x-zm-request-id", request_id.to_owned()),
        ("x-zm-trackingid", tracking_id.to_owned()),
        (
            "traceparent",
            format!(
                "00-{}-{}-01",
                random::hex_text::<16>(rng),
                random::hex_text::<8>(rng)
            ),
        ),
    ];
    let signed = match mode {
        SignatureMode::Good => Some(signature(secret, timestamp, body)),
        SignatureMode::WrongSecret => Some(signature(&format!("not-{secret}"), timestamp, body)),
        SignatureMode::TamperedBody => Some(signature(secret, timestamp, &[body, b" "].concat())),
        SignatureMode::Missing => None,
    };
    headers.extend(signed.map(|value| ("x-zm-signature", value)));
    headers
}

/// The form of `x-zm-request-id`: a UUID with underscores.
pub(crate) fn request_id(rng: &dyn Rng) -> String {
    random::uuid_text(rng).replace('-', "_")
}

/// The form of `x-zm-trackingid`.
pub(crate) fn tracking_id(rng: &dyn Rng) -> String {
    format!("WEB_{}", random::hex_text::<16>(rng))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_message_is_v0_timestamp_and_raw_body() {
        let expected = signing::hmac_hex(b"secret", &[br#"v0:1654503849:{"a":1}"#]);
        assert_eq!(
            signature("secret", 1_654_503_849, br#"{"a":1}"#),
            format!("v0={expected}")
        );
    }

    proptest! {
        #[test]
        fn another_body_stamp_or_secret_has_another_signature(body: Vec<u8>, stamp in 0..i64::MAX - 1, secret in "[a-z]{8}") {
            let right = signature(&secret, stamp, &body);
            prop_assert_eq!(right.len(), 3 + 64);
            prop_assert_ne!(&right, &signature(&secret, stamp + 1, &body));
            prop_assert_ne!(&right, &signature(&format!("{secret}x"), stamp, &body));
            prop_assert_ne!(&right, &signature(&secret, stamp, &[&body[..], b"x"].concat()));
        }
    }
}
