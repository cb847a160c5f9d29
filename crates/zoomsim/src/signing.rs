//! HMACs, tokens that look like Zoom's JWTs, and signed opaque values.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn mac_sha256(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn mac_sha512(key: &[u8]) -> Hmac<Sha512> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

/// HMAC-SHA256 in lower-case hexadecimal over the parts, one after the other.
pub(crate) fn hmac_hex(key: &[u8], parts: &[&[u8]]) -> String {
    let mut mac = mac_sha256(key);
    for part in parts {
        mac.update(part);
    }
    hex::encode(mac.finalize().into_bytes())
}

/// Equal or not, in time that depends on the lengths alone.
pub(crate) fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

/// A JWT signed with HS512, the form of all of Zoom's tokens.
pub(crate) fn jwt(key: &[u8], key_id: &str, claims: &impl Serialize) -> String {
    let header = serde_json::json!({ "sv": "000001", "alg": "HS512", "v": "2.0", "kid": key_id });
    let body = format!("{}.{}", encoded(&header), encoded(claims));
    let mut mac = mac_sha512(key);
    mac.update(body.as_bytes());
    format!("{body}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// A token of the looks of one signed with ES256: its last part has the 64 bytes of such a signature, but is an HMAC, for
/// nobody but the simulator reads it.
pub(crate) fn es256_shaped(key: &[u8], claims: &impl Serialize) -> String {
    let header = serde_json::json!({ "sv": "000001", "typ": "JWT", "alg": "ES256" });
    let body = format!("{}.{}", encoded(&header), encoded(claims));
    let mut mac = mac_sha512(key);
    mac.update(body.as_bytes());
    format!("{body}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// The claims of a JWT that this key signed.
pub(crate) fn read_jwt<T: DeserializeOwned>(key: &[u8], token: &str) -> Option<T> {
    let (body, signature) = token.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let mut mac = mac_sha512(key);
    mac.update(body.as_bytes());
    mac.verify_slice(&signature).ok()?;
    let (_, claims) = body.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

/// A value that comes back to the simulator in a path or a query, and that nobody else can make.
pub(crate) fn seal(key: &[u8], purpose: &str, value: &impl Serialize) -> String {
    let body = encoded(value);
    let tag = hmac_hex(key, &[purpose.as_bytes(), b":", body.as_bytes()]);
    format!("{body}.{}", &tag[..32])
}

/// The value inside [`seal`]'s text.
pub(crate) fn unseal<T: DeserializeOwned>(key: &[u8], purpose: &str, text: &str) -> Option<T> {
    let (body, tag) = text.split_once('.')?;
    let expected = hmac_hex(key, &[purpose.as_bytes(), b":", body.as_bytes()]);
    if !same(tag, &expected[..32]) {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
}

fn encoded(value: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_agrees_with_rfc_4231_case_2() {
        let digest = hmac_hex(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(
            digest,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_sealed_value_opens_only_unchanged_and_for_its_purpose() {
        let text = seal(b"key", "page", &("a", 1));
        assert_eq!(
            unseal::<(String, u8)>(b"key", "page", &text),
            Some(("a".into(), 1))
        );
        assert_eq!(unseal::<(String, u8)>(b"key", "file", &text), None);
        assert_eq!(unseal::<(String, u8)>(b"other", "page", &text), None);
        assert_eq!(unseal::<(String, u8)>(b"key", "page", &format!("{text}0")), None);
    }

    #[test]
    fn a_jwt_of_another_key_is_not_read() {
        let token = jwt(b"key", "k1", &serde_json::json!({ "mid": "x" }));
        assert!(read_jwt::<serde_json::Value>(b"key", &token).is_some());
        assert!(read_jwt::<serde_json::Value>(b"other", &token).is_none());
        assert!(read_jwt::<serde_json::Value>(b"key", "a.b").is_none());
    }
}
