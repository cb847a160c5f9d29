//! Randomness: the system's, or a repeatable stream from a seed.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use domicile_kernel::Rng;
use domicile_kernel::random::random_bytes;
use sha2::{Digest, Sha256};

/// The operating system's randomness, for the binary and for callers that have none of their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    #[expect(
        clippy::disallowed_methods,
        reason = "the edge of this workshop crate: here real randomness is built"
    )]
    #[expect(
        clippy::expect_used,
        reason = "without randomness no token can be made, and there is no one to tell"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives randomness");
    }
}

/// The same ids, codes and tokens at every run: SHA-256 of seed and counter. Not fit for real secrets.
#[derive(Debug)]
pub struct SeededRng {
    seed: u64,
    counter: Mutex<u64>,
}

impl SeededRng {
    /// A stream that only the seed decides.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            counter: Mutex::new(0),
        }
    }
}

impl Rng for SeededRng {
    fn fill(&self, bytes: &mut [u8]) {
        let mut counter = self.counter.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(32) {
            let block = Sha256::new()
                .chain_update(self.seed.to_be_bytes())
                .chain_update(counter.to_be_bytes())
                .finalize();
            chunk.copy_from_slice(&block[..chunk.len()]);
            *counter += 1;
        }
    }
}

/// 22 characters of `[A-Za-z0-9_-]`, the look of Zoom's user and account ids.
pub(crate) fn short_id(rng: &dyn Rng) -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<16>(rng))
}

/// Base64 of 16 bytes, the look of a meeting uuid; may hold `/`, `+` and `=`.
pub(crate) fn meeting_uuid(rng: &dyn Rng) -> String {
    STANDARD.encode(random_bytes::<16>(rng))
}

/// The text form of a random UUID, the look of a file id.
pub(crate) fn uuid_text(rng: &dyn Rng) -> String {
    let mut bytes: [u8; 16] = random_bytes(rng);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// `n` random bytes in lower-case hexadecimal.
pub(crate) fn hex_text<const N: usize>(rng: &dyn Rng) -> String {
    hex::encode(random_bytes::<N>(rng))
}

/// A UUID in capitals, the look of a message that a person wrote.
pub(crate) fn message_uuid(rng: &dyn Rng) -> String {
    uuid_text(rng).to_uppercase()
}

/// `20190618205516496_ynICmz8_aw1`, the look of a bot's message: time, seven characters, shard.
pub(crate) fn bot_message_id(rng: &dyn Rng, now: domicile_kernel::Timestamp) -> String {
    let tag: String = short_id(rng)
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(7)
        .collect();
    format!("{}_{tag}_aw1", now.format("%Y%m%d%H%M%S%3f"))
}

/// A number of 11 digits, as meetings have.
pub(crate) fn meeting_number(rng: &dyn Rng) -> i64 {
    let word = u32::from_le_bytes(random_bytes(rng));
    80_000_000_000 + i64::from(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let (one, two, other) = (SeededRng::new(7), SeededRng::new(7), SeededRng::new(8));
        let first = uuid_text(&one);
        assert_eq!(first, uuid_text(&two));
        assert_ne!(first, uuid_text(&one));
        assert_ne!(first, uuid_text(&other));
        assert_eq!(first.len(), 36);
    }
}
