//! Data keys in memory, and for how long.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::TimeDelta;
use domicile_kernel::{KeyId, Timestamp};

use crate::data_key::DataKey;
use crate::vault::KeyScope;

/// The most data keys that are kept; beyond it, those that were looked at longest ago are read again when they are needed.
const LIMIT: usize = 10_000;

/// From this age on a key's row is looked at again where that succeeds.
const RECHECK_AFTER: TimeDelta = TimeDelta::seconds(150);

/// No key is used whose row was last seen alive longer ago: the bound of the README.
const MAX_AGE: TimeDelta = TimeDelta::seconds(300);

/// From this age on a key is unwrapped again, so that a region key that was withdrawn at its key service stops opening.
const UNWRAP_AGAIN_AFTER: TimeDelta = TimeDelta::seconds(3600);

/// What memory holds of one data key.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) key: DataKey,
    /// Its row was seen alive at this time or later.
    seen_at: Timestamp,
    unwrapped_at: Timestamp,
}

/// How much a held key may be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// It may be used.
    Fresh,
    /// It may be used if its row cannot be looked at just now.
    Due,
    /// It may have been destroyed.
    Stale,
}

impl Held {
    /// A key that was unwrapped just now from a row that was read after `now`.
    pub(crate) fn new(key: DataKey, now: Timestamp) -> Self {
        Self {
            key,
            seen_at: now,
            unwrapped_at: now,
        }
    }

    /// The same key, its row seen alive after `now`.
    pub(crate) fn seen(self, now: Timestamp) -> Self {
        Self { seen_at: now, ..self }
    }

    pub(crate) fn age(&self, now: Timestamp) -> Age {
        match now - self.seen_at {
            // A clock that was set back tells nothing of the age.
            age if age < TimeDelta::zero() || age >= MAX_AGE => Age::Stale,
            age if age >= RECHECK_AFTER => Age::Due,
            _ => Age::Fresh,
        }
    }

    pub(crate) fn is_to_be_unwrapped_again(&self, now: Timestamp) -> bool {
        let age = now - self.unwrapped_at;
        age < TimeDelta::zero() || age >= UNWRAP_AGAIN_AFTER
    }
}

#[derive(Default)]
pub(crate) struct Cache(RwLock<Maps>);

#[derive(Default)]
struct Maps {
    by_id: HashMap<KeyId, Held>,
    by_scope: HashMap<KeyScope, KeyId>,
}

impl Cache {
    pub(crate) fn get(&self, id: KeyId) -> Option<Held> {
        self.read().by_id.get(&id).cloned()
    }

    /// The id of the key that last sealed for the scope.
    pub(crate) fn id_for(&self, scope: &KeyScope) -> Option<KeyId> {
        self.read().by_scope.get(scope).copied()
    }

    pub(crate) fn keep(&self, scope: Option<&KeyScope>, held: Held) {
        let mut maps = self.write();
        if maps.by_id.len() >= LIMIT && !maps.by_id.contains_key(&held.key.id()) {
            maps.make_room();
        }
        if let Some(scope) = scope {
            maps.by_scope.insert(scope.clone(), held.key.id());
        }
        maps.by_id.insert(held.key.id(), held);
    }

    pub(crate) fn forget(&self, id: KeyId) {
        let mut maps = self.write();
        maps.by_id.remove(&id);
        maps.by_scope.retain(|_, known| *known != id);
    }

    // A panic elsewhere cannot leave a map of whole keys half changed, so a poisoned lock is still good.
    fn read(&self) -> RwLockReadGuard<'_, Maps> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Maps> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Maps {
    /// Drops the half that was looked at longest ago.
    fn make_room(&mut self) {
        let mut times: Vec<_> = self.by_id.values().map(|held| held.seen_at).collect();
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied();
        self.by_id.retain(|_, held| Some(held.seen_at) > median);
        let Self { by_id, by_scope } = self;
        by_scope.retain(|_, id| by_id.contains_key(id));
    }
}
