//! Finding, making and destroying data keys.

use std::sync::Arc;

use domicile_kernel::random::secret_bytes;
use domicile_kernel::{Ids, KeyId, Secret, Timestamp, ZoomAccountId};
use domicile_store::{Conn, Db, StoreError};
use tracing::{info, warn};

use crate::cache::{Age, Cache, Held};
use crate::cipher::Cipher;
use crate::data_key::{self, DataKey};
use crate::error::{VaultError, chain};
use crate::lanes::Lanes;
use crate::metrics::METRICS;
use crate::place::Place;
use crate::provider::DataKeyBytes;
use crate::region_keys::RegionKeys;
use crate::store::{self, WrappedKey};

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
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) db: Db,
    pub(crate) ids: Ids,
    pub(crate) region_keys: RegionKeys,
    cache: Cache,
    by_scope: Lanes,
    by_id: Lanes,
}

impl Vault {
    /// A vault over this database with these region keys.
    pub fn new(db: Db, ids: Ids, region_keys: RegionKeys) -> Self {
        METRICS.start_at_zero();
        Self {
            inner: Arc::new(Inner {
                db,
                ids,
                region_keys,
                cache: Cache::default(),
                by_scope: Lanes::default(),
                by_id: Lanes::default(),
            }),
        }
    }

    /// The data key of the scope; it is made if there is none. Call it before a transaction begins: it may read the database
    /// and call a key service.
    pub async fn key(&self, scope: &KeyScope) -> Result<DataKey, VaultError> {
        if let Some(key) = self.inner.known(scope).await? {
            return Ok(key);
        }
        self.find_or_make(scope).await
    }

    /// Like [`Vault::key`], but an account's key that memory knows is not looked at again: the caller writes what it seals
    /// only where the key's row is still alive, in the same statement, and calls [`Vault::forget`] where it is not.
    pub async fn key_to_be_checked(&self, scope: &KeyScope) -> Result<DataKey, VaultError> {
        if let Some(id) = self.inner.cache.id_for(scope)
            && let Some(key) = self.inner.usable(id).await?
        {
            return Ok(key);
        }
        self.find_or_make(scope).await
    }

    /// Drops a key from memory because it was destroyed elsewhere.
    pub fn forget(&self, key: KeyId) {
        self.inner.cache.forget(key);
    }

    async fn find_or_make(&self, scope: &KeyScope) -> Result<DataKey, VaultError> {
        let _lane = self.inner.by_scope.enter(scope).await?;
        // Whoever was in the lane before may have found it.
        match self.inner.known(scope).await? {
            Some(key) => Ok(key),
            None => self.inner.find_or_make(scope).await,
        }
    }

    /// Opens a ciphertext with whichever data key sealed it.
    pub async fn open(&self, place: Place, sealed: &[u8]) -> Result<Secret<Vec<u8>>, VaultError> {
        let (id, _) = data_key::split(place, sealed)?;
        self.inner.current(id).await?.open(place, sealed)
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
    /// already, by another process too. For what must not be lost: a key that was just destroyed elsewhere may still be in
    /// this process's memory, and what it seals nobody ever opens.
    pub async fn hold(&self, conn: &mut Conn, key: &DataKey) -> Result<(), VaultError> {
        if store::lock_live(conn, key.id()).await? {
            Ok(())
        } else {
            self.inner.cache.forget(key.id());
            Err(VaultError::Destroyed(key.id()))
        }
    }

    /// Destroys the live key of an account, as part of the caller's transaction. What it sealed is erased (INV-8): nobody can
    /// unwrap the key once the transaction is committed, and whoever has it in memory forgets it within the README's bound.
    pub async fn destroy(
        &self,
        conn: &mut Conn,
        account: &ZoomAccountId,
    ) -> Result<Option<KeyId>, VaultError> {
        let Some(wrapped) = store::live(conn, Some(account)).await? else {
            return Ok(None);
        };
        store::destroy(conn, wrapped.id, self.inner.ids.clock().now()).await?;
        self.inner.cache.forget(wrapped.id);
        Ok(Some(wrapped.id))
    }
}

impl Inner {
    /// The scope's key if memory knows which it is and it is still alive.
    async fn known(&self, scope: &KeyScope) -> Result<Option<DataKey>, VaultError> {
        let Some(id) = self.cache.id_for(scope) else {
            return Ok(None);
        };
        // What is sealed under a key that another process destroyed nobody ever opens, so whoever is about to seal looks
        // again. The region's own key is never destroyed.
        if scope.account().is_some() && !store::is_live(&mut *self.db.conn().await?, id).await? {
            self.cache.forget(id);
            return Ok(None);
        }
        self.usable(id).await
    }

    /// The key of this id unless it is gone.
    async fn usable(&self, id: KeyId) -> Result<Option<DataKey>, VaultError> {
        match self.current(id).await {
            Ok(key) => Ok(Some(key)),
            // The account begins anew.
            Err(VaultError::Destroyed(_) | VaultError::Unknown(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The key of this id, from memory while that may be trusted.
    async fn current(&self, id: KeyId) -> Result<DataKey, VaultError> {
        let now = self.ids.clock().now();
        let held = self.cache.get(id);
        match held.as_ref().map(|held| (&held.key, held.age(now))) {
            Some((key, Age::Fresh)) => Ok(key.clone()),
            Some((key, Age::Due)) => {
                let Some(_lane) = self.by_id.try_enter(&id) else {
                    return Ok(key.clone());
                };
                match self.look(id).await {
                    Err(VaultError::Store(error)) if error.fate().is_retry() => {
                        warn!(key.id = %id, error = %error, "a data key's row could not be looked at again; it is used a little longer");
                        Ok(key.clone())
                    }
                    looked => looked,
                }
            }
            Some((_, Age::Stale)) | None => {
                let _lane = self.by_id.enter(&id).await?;
                // Whoever was in the lane before may have found it.
                match self.cache.get(id) {
                    Some(held) if held.age(now) == Age::Fresh => Ok(held.key),
                    _ => self.look(id).await,
                }
            }
        }
    }

    /// Reads the key's row; the caller is in the key's lane.
    async fn look(&self, id: KeyId) -> Result<DataKey, VaultError> {
        let now = self.ids.clock().now();
        // The connection is back in the pool before a key service is called.
        let row = store::by_id(&mut *self.db.conn().await?, id).await?;
        match row {
            Some(row) => self.admit(None, &row, now).await,
            None => {
                self.cache.forget(id);
                Err(VaultError::Unknown(id))
            }
        }
    }

    /// Finds the scope's key in the database, or makes it; the caller is in the scope's lane.
    async fn find_or_make(&self, scope: &KeyScope) -> Result<DataKey, VaultError> {
        let now = self.ids.clock().now();
        let mut row = store::live(&mut *self.db.conn().await?, scope.account()).await?;
        if row.is_none() {
            if let Some(key) = self.make(scope).await? {
                return Ok(key);
            }
            // Another process was first: what the table holds is the key.
            row = store::live(&mut *self.db.conn().await?, scope.account()).await?;
        }
        let row = row.ok_or(StoreError::NotFound)?;
        let _lane = self.by_id.enter(&row.id).await?;
        self.admit(Some(scope), &row, now).await
    }

    /// Makes the scope's key, unless another process is first.
    async fn make(&self, scope: &KeyScope) -> Result<Option<DataKey>, VaultError> {
        let id: KeyId = self.ids.make();
        let rng = self.ids.rng().as_ref();
        let bytes = secret_bytes(rng);
        let wrapped = self.region_keys.wrap(rng, id, &bytes).await?;
        let key = self.data_key(id, &bytes)?;
        let region_key = self.region_keys.sealing().id();
        let now = self.ids.clock().now();
        let mut conn = self.db.conn().await?;
        if !store::insert(&mut conn, scope.account(), id, region_key, &wrapped, now).await? {
            return Ok(None);
        }
        info!(key.id = %id, region_key, "a data key was made");
        self.cache.keep(Some(scope), Held::new(key.clone(), now));
        Ok(Some(key))
    }

    /// Keeps the key of a row that was read after `now`; it is unwrapped unless memory has it.
    async fn admit(
        &self,
        scope: Option<&KeyScope>,
        row: &WrappedKey,
        now: Timestamp,
    ) -> Result<DataKey, VaultError> {
        let Some(wrapped) = &row.wrapped else {
            self.cache.forget(row.id);
            return Err(VaultError::Destroyed(row.id));
        };
        let held = match self.cache.get(row.id) {
            Some(held) if !held.is_to_be_unwrapped_again(now) => held.seen(now),
            Some(held) => match self.unwrap(row, wrapped, now).await {
                Ok(again) => again,
                Err(error) if withdraws(&error) => {
                    self.cache.forget(row.id);
                    return Err(error);
                }
                Err(error) => {
                    warn!(key.id = %row.id, error = chain(&error), "a data key could not be unwrapped again; it is used as it is");
                    held.seen(now)
                }
            },
            None => self.unwrap(row, wrapped, now).await?,
        };
        let key = held.key.clone();
        self.cache.keep(scope, held);
        Ok(key)
    }

    async fn unwrap(&self, row: &WrappedKey, wrapped: &[u8], now: Timestamp) -> Result<Held, VaultError> {
        let bytes = self
            .region_keys
            .unwrap(&row.region_key_id, row.id, wrapped)
            .await?;
        Ok(Held::new(self.data_key(row.id, &bytes)?, now))
    }

    fn data_key(&self, id: KeyId, bytes: &DataKeyBytes) -> Result<DataKey, VaultError> {
        Ok(DataKey {
            id,
            cipher: Arc::new(Cipher::new(bytes).map_err(|_| VaultError::Cipher)?),
            rng: Arc::clone(self.ids.rng()),
        })
    }
}

/// True when the key service refuses a key that is in memory. A region key that this process was never given is no
/// withdrawal: a rotation was begun before all processes knew the new key, and that must not stop what works.
fn withdraws(error: &VaultError) -> bool {
    error.is_refusal_of_key() && !matches!(error, VaultError::RegionKeyMissing { .. })
}
