//! Whose the region's keys are: each wraps the region's id, so that the mark cannot be forged without the key (INV-1).

use domicile_kernel::{KeyId, RegionId, Secret};
use domicile_store::StoreError;
use thiserror::Error;
use tracing::warn;

use crate::cipher::KEY_LEN;
use crate::error::{VaultError, chain};
use crate::provider::{DataKeyBytes, KeyProvider};
use crate::store::{self, KeyMark};
use crate::vault::Vault;

/// Why this region does not work with these keys, every fault of it (INV-10).
#[derive(Debug, Error)]
pub enum KeyMarkError {
    /// Some are marked as another region's, or are not the keys that were marked.
    #[error("DOMICILE_VAULT_KEYS does not fit the marks of the keys: {}", list(.0))]
    Foreign(Vec<ForeignKey>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One key that is not this region's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ForeignKey {
    /// It carries another region's mark.
    #[error(
        "the key {region_key:?} carries the mark of the region {theirs}, but this process is of the region {ours}; give \
         {ours} a key of its own"
    )]
    Region {
        /// The key's id.
        region_key: String,
        /// Whose process this is.
        ours: RegionId,
        /// Whose key it is.
        theirs: String,
    },
    /// It does not open the mark that stands under its id.
    #[error(
        "the key {region_key:?} is not the key that the region {ours} marked under this id; give a new key an id of its own"
    )]
    Other {
        /// The key's id.
        region_key: String,
        /// Whose process this is.
        ours: RegionId,
    },
}

impl Vault {
    /// Refuses keys that carry another region's mark. Nothing is written. A key service that does not answer is no fault: the
    /// mark is looked at again at the next start.
    pub async fn check_marks(&self, region: &RegionId) -> Result<(), KeyMarkError> {
        let marks = store::key_marks(&mut *self.inner.db.conn().await?).await?;
        let mut foreign = Vec::new();
        for mark in &marks {
            if let Some(key) = self.inner.region_keys.get(&mark.region_key_id) {
                foreign.extend(look(region, key, mark).await);
            }
        }
        if foreign.is_empty() {
            Ok(())
        } else {
            Err(KeyMarkError::Foreign(foreign))
        }
    }

    /// Marks every key that has no mark yet as this region's, and looks at all of them.
    pub async fn mark(&self, region: &RegionId) -> Result<(), KeyMarkError> {
        let marks = store::key_marks(&mut *self.inner.db.conn().await?).await?;
        let unmarked = self
            .inner
            .region_keys
            .all()
            .filter(|key| marks.iter().all(|mark| mark.region_key_id != key.id()));
        for key in unmarked {
            let id: KeyId = self.inner.ids.make();
            let rng = self.inner.ids.rng().as_ref();
            match key.wrap(rng, id, &padded(region)).await {
                Ok(sealed) => {
                    let mark = KeyMark {
                        region_key_id: key.id().to_owned(),
                        id,
                        sealed,
                    };
                    let conn = &mut *self.inner.db.conn().await?;
                    store::insert_key_mark(conn, &mark, self.inner.ids.clock().now()).await?;
                }
                Err(error) => warn!(
                    region_key = key.id(),
                    error = chain(&error),
                    "a region key could not be marked; the next start tries again"
                ),
            }
        }
        self.check_marks(region).await
    }
}

/// What is wrong with this key, if anything is.
async fn look(region: &RegionId, key: &dyn KeyProvider, mark: &KeyMark) -> Option<ForeignKey> {
    let region_key = key.id().to_owned();
    match key.unwrap(mark.id, &mark.sealed).await {
        Ok(padded) => {
            let theirs = unpadded(&padded);
            (theirs != region.as_str()).then(|| ForeignKey::Region {
                region_key,
                ours: region.clone(),
                theirs,
            })
        }
        Err(error) => {
            let error = VaultError::of_key(key.id(), mark.id, error);
            if matches!(error, VaultError::RegionKeyWrong { .. }) {
                return Some(ForeignKey::Other {
                    region_key,
                    ours: region.clone(),
                });
            }
            // What else is wrong with a key is for `check`; one that is away is no fault.
            warn!(
                error = chain(&error),
                "the mark of a region key could not be read"
            );
            None
        }
    }
}

/// The id in the size of a data key, which is what region keys wrap: an id has 32 bytes at most.
fn padded(region: &RegionId) -> DataKeyBytes {
    let mut bytes = [0; KEY_LEN];
    for (byte, id) in bytes.iter_mut().zip(region.as_str().bytes()) {
        *byte = id;
    }
    Secret::new(bytes)
}

fn unpadded(bytes: &DataKeyBytes) -> String {
    let text = String::from_utf8_lossy(bytes.expose());
    text.trim_end_matches('\0').to_owned()
}

fn list(keys: &[ForeignKey]) -> String {
    let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
    keys.join("; ")
}
