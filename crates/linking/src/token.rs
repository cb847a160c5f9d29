//! Random texts that a browser or the app carries, of which only the hash is kept. Each names its region in front, so that
//! another region can say where it belongs.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domicile_kernel::random::secret_bytes;
use domicile_kernel::{RegionId, Rng, Secret};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The region, a dot, and 256 random bits as 43 characters of base64url.
pub(crate) fn generate(region: &RegionId, rng: &dyn Rng) -> Secret<String> {
    let random = Secret::new(URL_SAFE_NO_PAD.encode(secret_bytes::<32>(rng).expose()));
    Secret::new(format!("{region}.{}", random.expose()))
}

/// The region that a token names, if it is another one than ours. Anybody may have written it.
pub(crate) fn of_another_region(token: &str, ours: &RegionId) -> Option<RegionId> {
    let (region, _) = token.split_once('.')?;
    let region: RegionId = region.parse().ok()?;
    (region != *ours).then_some(region)
}

/// SHA-256 of a token, by which its row is found.
pub(crate) fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// True when the token has this hash, in constant time.
pub(crate) fn matches(token: &str, kept_hash: &[u8]) -> bool {
    hash(token).ct_eq(kept_hash).into()
}
