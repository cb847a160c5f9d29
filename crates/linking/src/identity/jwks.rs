//! The app's published keys (RFC 7517, section 5).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;
use tracing::warn;

use super::error::{IdentityError, JwksError};
use super::settings::SigningAlgorithm;

/// No app rotates through more.
const MAX_KEYS: usize = 100;

/// Members that only a private or shared key has (RFC 7518, sections 6.2.2, 6.3.2 and 6.4).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// An RSA modulus, in bytes: 2048 bits (RFC 7518, section 3.3) to 8192.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// The keys of one answer that verify signatures.
pub(super) struct KeySet(Vec<VerifyingKey>);

struct VerifyingKey {
    key_id: Option<String>,
    kind: KeyKind,
    /// The only algorithm that the app uses it for, if it says.
    algorithm: Option<SigningAlgorithm>,
    key: DecodingKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// The members of a key that are looked at. What is no text or no list where it should be makes the key unusable.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    public_key_use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set. A key that is not for signatures, or of a kind that is not known here, is as if it were not there
    /// (RFC 7517, section 5).
    pub(super) fn parse(body: &[u8]) -> Result<Self, JwksError> {
        let document: Document = serde_json::from_slice(body).map_err(|_| JwksError::NotASet)?;
        if document.keys.len() > MAX_KEYS {
            return Err(JwksError::TooManyKeys(MAX_KEYS));
        }
        let keys = document.keys.into_iter().filter_map(VerifyingKey::parse);
        Ok(Self(keys.collect()))
    }

    /// The keys that may have signed a token with this key id and algorithm, at least one. Where the app publishes one key
    /// alone, a token need not name it.
    pub(super) fn candidates(
        &self,
        key_id: Option<&str>,
        algorithm: SigningAlgorithm,
    ) -> Result<Vec<&DecodingKey>, IdentityError> {
        let named: Vec<_> = match (key_id, self.0.len()) {
            (None, 2..) => return Err(IdentityError::KeyNotNamed),
            (None, _) => self.0.iter().collect(),
            (Some(_), _) => self
                .0
                .iter()
                .filter(|key| key.key_id.as_deref() == key_id)
                .collect(),
        };
        if named.is_empty() {
            return Err(IdentityError::UnknownKey);
        }
        let fitting: Vec<_> = named
            .into_iter()
            .filter(|key| key.fits(algorithm))
            .map(|key| &key.key)
            .collect();
        if fitting.is_empty() {
            return Err(IdentityError::KeyMismatch);
        }
        Ok(fitting)
    }
}

impl VerifyingKey {
    fn parse(value: Value) -> Option<Self> {
        if PRIVATE_MEMBERS.iter().any(|member| value.get(member).is_some()) {
            // Whoever reads the set can sign with such a key.
            warn!("the app publishes a key with its private half, which is not used; it must be replaced");
            return None;
        }
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let for_signatures = jwk.public_key_use.as_deref().is_none_or(|usage| usage == "sig")
            && jwk
                .key_ops
                .as_ref()
                .is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !for_signatures {
            return None;
        }
        let algorithm = match &jwk.alg {
            Some(name) => Some(name.parse().ok()?),
            None => None,
        };
        let (kind, key) = jwk.key()?;
        Some(Self {
            key_id: jwk.kid,
            kind,
            algorithm,
            key,
        })
    }

    /// RFC 7518, section 3.1, and RFC 8037, section 3.1: which kind of key an algorithm is for.
    fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        let kind = match algorithm {
            SigningAlgorithm::Rs256
            | SigningAlgorithm::Rs384
            | SigningAlgorithm::Rs512
            | SigningAlgorithm::Ps256
            | SigningAlgorithm::Ps384
            | SigningAlgorithm::Ps512 => KeyKind::Rsa,
            SigningAlgorithm::Es256 => KeyKind::P256,
            SigningAlgorithm::Es384 => KeyKind::P384,
            SigningAlgorithm::EdDsa => KeyKind::Ed25519,
        };
        self.kind == kind && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

impl Jwk {
    fn key(&self) -> Option<(KeyKind, DecodingKey)> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (modulus, exponent) = (decode(self.n.as_ref()?)?, decode(self.e.as_ref()?)?);
                let bytes = modulus.iter().skip_while(|byte| **byte == 0).count();
                if !RSA_MODULUS_BYTES.contains(&bytes) {
                    warn!(
                        "the app publishes an RSA key of less than 2048 or more than 8192 bits, which is not used"
                    );
                    return None;
                }
                let key = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
                Some((KeyKind::Rsa, key))
            }
            ("EC", Some("P-256")) => Some((KeyKind::P256, self.point(32)?)),
            ("EC", Some("P-384")) => Some((KeyKind::P384, self.point(48)?)),
            ("OKP", Some("Ed25519")) => {
                let x = decode(self.x.as_ref()?).filter(|x| x.len() == 32)?;
                Some((KeyKind::Ed25519, DecodingKey::from_ed_der(&x)))
            }
            _ => None,
        }
    }

    /// An uncompressed point (SEC 1, section 2.3.3), each coordinate of the curve's length (RFC 7518, section 6.2.1.2).
    fn point(&self, coordinate_bytes: usize) -> Option<DecodingKey> {
        let (x, y) = (decode(self.x.as_ref()?)?, decode(self.y.as_ref()?)?);
        if x.len() != coordinate_bytes || y.len() != coordinate_bytes {
            return None;
        }
        Some(DecodingKey::from_ec_der(&[&[4], x.as_slice(), &y].concat()))
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
