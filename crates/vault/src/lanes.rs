//! One look-up of one key at a time, and a bounded number in all.

use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use crate::error::VaultError;

/// How many keys are looked up at the same time at most, so that a key service is not flooded.
const LANES: usize = 64;

/// How long one waits for those before him in the lane; a call to a key service ends within it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whoever looks a key up goes through the key's lane, so that the others find it in memory when their turn comes.
pub(crate) struct Lanes {
    lanes: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            lanes: (0..LANES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Lanes {
    /// Waits for the lane.
    pub(crate) async fn enter(&self, key: &impl Hash) -> Result<MutexGuard<'_, ()>, VaultError> {
        let lane = self.lane(key).ok_or(VaultError::Busy)?;
        timeout(PATIENCE, lane.lock()).await.map_err(|_| VaultError::Busy)
    }

    /// The lane, if nobody is in it.
    pub(crate) fn try_enter(&self, key: &impl Hash) -> Option<MutexGuard<'_, ()>> {
        self.lane(key)?.try_lock().ok()
    }

    fn lane(&self, key: &impl Hash) -> Option<&Mutex<()>> {
        let at = self.hasher.hash_one(key) % LANES as u64;
        self.lanes.get(usize::try_from(at).ok()?)
    }
}
