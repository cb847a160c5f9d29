//! Finding, making and destroying data keys.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domicile_kernel::random::secret_bytes;
use domicile_kernel::{Ids, KeyId, Secret, ZoomAccountId};
use domicile_store::{Conn, Db, StoreError};
use tracing::info;

use crate::cipher::Cipher;
use crate::data_key::{self, DataKey};
use crate::error::VaultError;
use crate::place::Place;
use crate::region_keys::RegionKeys;
use crate::store::{self, WrappedKey};

/// The most data keys that are kept in memory; beyond it they are read again.
const CACHE_LIMIT: usize = 10_000;

/// Whose data a key seals.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyScope {
    /// One Zoom account's.
    Account(ZoomAccountId),
    /// The region's own short-lived data, such as a code whose account is not known yet.
    Region,
}

impl KeyScope {
    fn account(&self) -> Option<&ZoomAccountId> {
        match self {
            Self::Account(account) => Some(account),
            Self::Region => None,
        }
    }
}

/// Seals and opens personal data under the keys of its accounts.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    ids: Ids,
    region_keys: RegionKeys,
    cache: RwLock<Cache>,
}

#[derive(Default)]
struct Cache {
    by_scope: HashMap<KeyScope, DataKey>,
    by_id: HashMap<KeyId, DataKey>,
}

impl Vault {
    /// A vault over this database with these region keys.
    pub fn new(db: Db, ids: Ids, region_keys: RegionKeys) -> Self {
        Self {
            inner: Arc::new(Inner {
                db,
                ids,
                region_keys,
                cache: RwLock::default(),
            }),
        }
    }

    /// The data key of the scope; it is made if there is none. Call it before a transaction begins.
    pub async fn key(&self, scope: &KeyScope) -> Result<DataKey, VaultError> {
        let cached = self.inner.cached(scope);
        if let (Some(key), KeyScope::Region) = (&cached, scope) {
            return Ok(key.clone());
        }
        let mut conn = self.inner.db.conn().await?;
        if let Some(key) = cached {
            // Another process may have destroyed it, and what is sealed under it now nobody ever opens.
            if store::is_live(&mut conn, key.id()).await? {
                return Ok(key);
            }
            self.inner.forget_key(key.id());
        }
        if let Some(wrapped) = store::live(&mut conn, scope.account()).await? {
            return self.inner.admit(Some(scope), &wrapped);
        }
        self.inner.make(&mut conn, scope).await?;
        // Another process may have been first: what the table holds is the key.
        let wrapped = store::live(&mut conn, scope.account())
            .await?
            .ok_or(StoreError::NotFound)?;
        info!(key.id = %wrapped.id, "a data key was made");
        self.inner.admit(Some(scope), &wrapped)
    }

    /// Opens a ciphertext with whichever data key sealed it.
    pub async fn open(&self, place: Place, sealed: &[u8]) -> Result<Secret<Vec<u8>>, VaultError> {
        let (id, _) = data_key::split(place, sealed)?;
        let cached = self.inner.read(|cache| cache.by_id.get(&id).cloned());
        let key = match cached {
            Some(key) => key,
            None => {
                let mut conn = self.inner.db.conn().await?;
                let wrapped = store::by_id(&mut conn, id)
                    .await?
                    .ok_or(VaultError::Unknown(id))?;
                self.inner.admit(None, &wrapped)?
            }
        };
        key.open(place, sealed)
    }

    /// Opens a ciphertext that holds text.
    pub async fn open_text(&self, place: Place, sealed: &[u8]) -> Result<Secret<String>, VaultError> {
        let bytes = self.open(place, sealed).await?;
        match std::str::from_utf8(bytes.expose()) {
            Ok(text) => Ok(Secret::from(text)),
            Err(_) => Err(VaultError::Malformed {
                table: place.table,
                column: place.column,
            }),
        }
    }

    /// Keeps the key from being destroyed until the caller's transaction ends; [`VaultError::Destroyed`] if it was destroyed
    /// already, by another process too.
    pub async fn hold(&self, conn: &mut Conn, key: &DataKey) -> Result<(), VaultError> {
        if store::lock_live(conn, key.id()).await? {
            Ok(())
        } else {
            self.inner.forget_key(key.id());
            Err(VaultError::Destroyed(key.id()))
        }
    }

    /// Destroys the live key of an account, as part of the caller's transaction. What it sealed is erased (INV-8).
    pub async fn destroy(
        &self,
        conn: &mut Conn,
        account: &ZoomAccountId,
    ) -> Result<Option<KeyId>, VaultError> {
        let Some(wrapped) = store::live(conn, Some(account)).await? else {
            return Ok(None);
        };
        store::destroy(conn, wrapped.id, self.inner.ids.clock().now()).await?;
        self.inner.forget_key(wrapped.id);
        Ok(Some(wrapped.id))
    }
}

impl Inner {
    fn cached(&self, scope: &KeyScope) -> Option<DataKey> {
        self.read(|cache| cache.by_scope.get(scope).cloned())
    }

    // A panic elsewhere cannot leave a map of whole keys half changed, so a poisoned lock is still good.
    fn read<T>(&self, f: impl FnOnce(&Cache) -> T) -> T {
        f(&self.cache.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn forget_key(&self, id: KeyId) {
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        cache.by_scope.retain(|_, key| key.id != id);
        cache.by_id.remove(&id);
    }

    async fn make(&self, conn: &mut Conn, scope: &KeyScope) -> Result<(), VaultError> {
        let id: KeyId = self.ids.make();
        let rng = self.ids.rng().as_ref();
        let (region_key, wrapped) = self
            .region_keys
            .wrap(rng, id, &secret_bytes(rng))
            .map_err(|_| VaultError::Cipher)?;
        let now = self.ids.clock().now();
        Ok(store::insert(conn, scope.account(), id, region_key, &wrapped, now).await?)
    }

    /// Unwraps a key and keeps it in memory.
    fn admit(&self, scope: Option<&KeyScope>, row: &WrappedKey) -> Result<DataKey, VaultError> {
        let wrapped = row.wrapped.as_ref().ok_or(VaultError::Destroyed(row.id))?;
        let secret = match self.region_keys.unwrap(&row.region_key_id, row.id, wrapped) {
            Some(Ok(secret)) => secret,
            Some(Err(_)) => {
                return Err(VaultError::RegionKeyWrong {
                    data_key: row.id,
                    region_key: row.region_key_id.clone(),
                });
            }
            None => {
                return Err(VaultError::RegionKeyMissing {
                    data_key: row.id,
                    region_key: row.region_key_id.clone(),
                });
            }
        };
        let cipher = Arc::new(Cipher::new(&secret).map_err(|_| VaultError::Cipher)?);
        let key = DataKey {
            id: row.id,
            cipher,
            rng: Arc::clone(self.ids.rng()),
        };
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        if cache.by_id.len() >= CACHE_LIMIT {
            *cache = Cache::default();
        }
        cache.by_id.insert(row.id, key.clone());
        if let Some(scope) = scope {
            cache.by_scope.insert(scope.clone(), key.clone());
        }
        Ok(key)
    }
}
