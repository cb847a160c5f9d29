//! What hangs on which region key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domicile_kernel::random::secret_bytes;
use domicile_kernel::{Ids, KeyId};
use domicile_store::StoreError;
use serde::Serialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::error::{CheckError, UnfitKey, VaultError, chain};
use crate::metrics::METRICS;
use crate::region_keys::RegionKeys;
use crate::store;
use crate::vault::Vault;

/// How often the data keys are counted for the metrics; it reads an index from end to end.
const SAMPLE_INTERVAL: Duration = Duration::from_mins(5);

/// What hangs on each region key, configured or found in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyStatus {
    /// The configured ones first, in their order.
    pub region_keys: Vec<RegionKeyStatus>,
    /// Live data keys that another region key than the sealing one wraps.
    pub to_rotate: u64,
}

/// What hangs on one region key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegionKeyStatus {
    /// Its id.
    pub id: String,
    /// `local` or `aws-kms`; nothing where it is not configured.
    pub kind: Option<&'static str>,
    /// Whether `DOMICILE_VAULT_KEYS` holds it.
    pub configured: bool,
    /// Whether it wraps what is new.
    pub seals: bool,
    /// How many live data keys it wraps.
    pub data_keys: u64,
    /// Whether it may be taken out of `DOMICILE_VAULT_KEYS`.
    pub removable: bool,
}

impl KeyStatus {
    /// The region keys that are not configured and still wrap data keys.
    pub fn missing(&self) -> impl Iterator<Item = &RegionKeyStatus> {
        self.region_keys.iter().filter(|key| !key.configured)
    }

    fn of(region_keys: &RegionKeys, counts: Vec<(String, i64)>) -> Self {
        let mut counts: BTreeMap<String, u64> = counts
            .into_iter()
            .map(|(id, count)| (id, u64::try_from(count).unwrap_or(0)))
            .collect();
        let sealing = region_keys.sealing().id();
        let mut all: Vec<_> = region_keys
            .all()
            .map(|key| {
                let data_keys = counts.remove(key.id()).unwrap_or(0);
                RegionKeyStatus {
                    id: key.id().to_owned(),
                    kind: Some(key.kind()),
                    configured: true,
                    seals: key.id() == sealing,
                    data_keys,
                    removable: key.id() != sealing && data_keys == 0,
                }
            })
            .collect();
        all.extend(counts.into_iter().map(|(id, data_keys)| RegionKeyStatus {
            id,
            kind: None,
            configured: false,
            seals: false,
            data_keys,
            removable: false,
        }));
        let to_rotate = all.iter().filter(|key| !key.seals).map(|key| key.data_keys).sum();
        Self {
            region_keys: all,
            to_rotate,
        }
    }
}

impl Vault {
    /// Counts what hangs on each region key.
    pub async fn status(&self) -> Result<KeyStatus, StoreError> {
        let counts = store::counts(&mut *self.inner.db.conn().await?).await?;
        Ok(KeyStatus::of(&self.inner.region_keys, counts))
    }

    /// Refuses region keys that do not fit: every one on which live data keys hang must be configured and must unwrap one of
    /// them, and the first must wrap and unwrap. A key service that does not answer is no fault: what it is needed for is
    /// tried again, and so is whatever waits for it.
    pub async fn check(&self) -> Result<(), CheckError> {
        let status = self.status().await?;
        let mut unfit: Vec<UnfitKey> = status
            .missing()
            .map(|key| UnfitKey::Missing {
                region_key: key.id.clone(),
                data_keys: key.data_keys,
            })
            .collect();
        let mut refused = |outcome: Result<(), VaultError>| match outcome {
            Ok(()) => Ok(()),
            Err(VaultError::Store(error)) => Err(error),
            Err(error) if error.is_refusal_of_key() => {
                unfit.push(UnfitKey::Refused(error));
                Ok(())
            }
            Err(error) => {
                warn!(error = chain(&error), "a region key could not be tried");
                Ok(())
            }
        };
        refused(self.try_sealing().await)?;
        let used = |key: &&RegionKeyStatus| key.configured && key.data_keys > 0;
        for key in status.region_keys.iter().filter(used) {
            refused(self.try_unwrapping(&key.id).await)?;
        }
        if unfit.is_empty() {
            Ok(())
        } else {
            Err(CheckError::Unfit(unfit))
        }
    }

    /// Wraps and unwraps a key that is never used.
    async fn try_sealing(&self) -> Result<(), VaultError> {
        let ids: &Ids = &self.inner.ids;
        let rng = ids.rng().as_ref();
        let id: KeyId = ids.make();
        self.inner
            .region_keys
            .wrap(rng, id, &secret_bytes(rng))
            .await
            .map(drop)
    }

    /// Unwraps one of the data keys that hang on the region key.
    async fn try_unwrapping(&self, region_key: &str) -> Result<(), VaultError> {
        let rows = store::wrapped_by(&mut *self.inner.db.conn().await?, region_key, None, 1).await?;
        for row in rows {
            if let Some(wrapped) = row.wrapped {
                self.inner
                    .region_keys
                    .unwrap(region_key, row.id, &wrapped)
                    .await?;
            }
        }
        Ok(())
    }

    /// How long ago the region first used the key that seals now; nothing while it has no mark yet.
    async fn sealing_key_age(&self) -> Result<Option<Duration>, StoreError> {
        let sealing = self.inner.region_keys.sealing().id();
        let mut conn = self.inner.db.conn().await?;
        let marked_at = store::marked_at(&mut conn, sealing).await?;
        let now = self.inner.ids.clock().now();
        Ok(marked_at.map(|at| (now - at).to_std().unwrap_or_default()))
    }

    /// Keeps the metrics of data keys up to date until it is stopped.
    pub async fn sample(&self, stop: CancellationToken) {
        // A region key on which nothing hangs any more must show zero and not its last value.
        let mut shown = BTreeSet::new();
        while !stop.is_cancelled() {
            match self.sealing_key_age().await {
                Ok(Some(age)) => {
                    let sealing = self.inner.region_keys.sealing().id();
                    METRICS.region_key_age(sealing, age.as_secs_f64());
                }
                Ok(None) => {}
                Err(error) => warn!(%error, "the age of the region key could not be read"),
            }
            match self.status().await {
                Ok(status) => {
                    let mut gone = std::mem::take(&mut shown);
                    for key in status.region_keys {
                        METRICS.data_keys(&key.id, key.configured, key.data_keys);
                        gone.remove(&(key.id.clone(), key.configured));
                        shown.insert((key.id, key.configured));
                    }
                    for (id, configured) in gone {
                        METRICS.data_keys(&id, configured, 0);
                        shown.insert((id, configured));
                    }
                }
                Err(error) => warn!(%error, "the data keys could not be counted"),
            }
            let _ = timeout(SAMPLE_INTERVAL, stop.cancelled()).await;
        }
    }
}
