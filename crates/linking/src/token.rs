//! Random texts that a browser or the app carries, of which only the hash is kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domicile_kernel::random::secret_bytes;
use domicile_kernel::{Rng, Secret};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// 256 random bits as 43 characters of base64url.
pub(crate) fn generate(rng: &dyn Rng) -> Secret<String> {
    Secret::new(URL_SAFE_NO_PAD.encode(secret_bytes::<32>(rng).expose()))
}

/// SHA-256 of a token, by which its row is found.
pub(crate) fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// True when the token has this hash, in constant time.
pub(crate) fn matches(token: &str, kept_hash: &[u8]) -> bool {
    hash(token).ct_eq(kept_hash).into()
}
