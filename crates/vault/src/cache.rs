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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domicile_kernel::{Clock, Secret, ZoomAccountId};
    use domicile_testkit::clock::{SeededRng, TestClock};
    use uuid::Uuid;

    use super::*;
    use crate::cipher::Cipher;

    fn held(number: usize, seen_at: Timestamp) -> Held {
        let key = DataKey {
            id: KeyId::from(Uuid::from_u128(number as u128)),
            cipher: Arc::new(Cipher::new(&Secret::new([1; 32])).unwrap()),
            rng: SeededRng::new(1).port(),
        };
        Held::new(key, seen_at)
    }

    fn scope(number: usize) -> KeyScope {
        KeyScope::Account(ZoomAccountId::new(number.to_string()))
    }

    #[test]
    fn a_full_memory_forgets_what_was_looked_at_longest_ago() {
        let cache = Cache::default();
        let start = TestClock::new().now();
        let at = |number: usize| start + TimeDelta::milliseconds(i64::try_from(number).unwrap());
        for number in 0..=LIMIT {
            cache.keep(Some(&scope(number)), held(number, at(number)));
        }
        let id = |number| KeyId::from(Uuid::from_u128(number));
        assert!(cache.get(id(0)).is_none() && cache.id_for(&scope(0)).is_none());
        let newest = LIMIT;
        assert!(cache.get(id(newest as u128)).is_some() && cache.id_for(&scope(newest)).is_some());
        assert_eq!(cache.read().by_id.len(), LIMIT / 2);
        assert_eq!(cache.read().by_scope.len(), LIMIT / 2);
    }

    #[test]
    fn an_age_has_three_steps_and_a_clock_that_went_back_is_not_believed() {
        let start = TestClock::new().now();
        let held = held(1, start);
        for (seconds, age) in [
            (-1, Age::Stale),
            (0, Age::Fresh),
            (149, Age::Fresh),
            (150, Age::Due),
            (299, Age::Due),
            (300, Age::Stale),
        ] {
            assert_eq!(held.age(start + TimeDelta::seconds(seconds)), age, "{seconds}");
        }
    }
}
