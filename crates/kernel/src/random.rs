//! The port through which randomness is handed in (INV-9).

use std::sync::Arc;

use uuid::{Builder, Uuid};

use crate::secret::Secret;
use crate::time::Clock;

/// A source of random bytes fit for keys and tokens. The roof builds the real one; tests hand in a seeded one.
pub trait Rng: Send + Sync {
    /// Fills the whole slice with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// An array of `N` random bytes that nothing can print.
pub fn secret_bytes<const N: usize>(rng: &dyn Rng) -> Secret<[u8; N]> {
    Secret::new(random_bytes(rng))
}

/// An array of `N` random bytes, for nonces and jitter.
pub fn random_bytes<const N: usize>(rng: &dyn Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill(&mut bytes);
    bytes
}

/// A fraction in `[0, 1)`, for jitter.
pub fn unit_fraction(rng: &dyn Rng) -> f64 {
    let bits = u32::from_le_bytes(random_bytes(rng));
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// Makes row ids: UUID version 7 (RFC 9562, section 5.7), so that new rows lie together in an index.
#[derive(Clone)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl Ids {
    /// Ids from this clock and this randomness.
    pub fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self { clock, rng }
    }

    /// A new id of the wanted type.
    pub fn make<T: From<Uuid>>(&self) -> T {
        let millis = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0);
        let random = random_bytes(self.rng.as_ref());
        T::from(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// A wholly random id (UUID version 4) of the wanted type, for fencing tokens and worker names.
    pub fn random<T: From<Uuid>>(&self) -> T {
        T::from(Builder::from_random_bytes(random_bytes(self.rng.as_ref())).into_uuid())
    }

    /// The clock that stamps the ids.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The randomness behind the ids.
    pub fn rng(&self) -> &Arc<dyn Rng> {
        &self.rng
    }
}
