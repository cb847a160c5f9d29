//! Re-wrapping data keys under the region key that seals, while traffic flows.

use std::collections::BTreeMap;

use domicile_kernel::KeyId;
use futures_util::StreamExt;
use futures_util::stream;
use serde::Serialize;
use tracing::{info, warn};

use crate::error::{VaultError, chain};
use crate::status::KeyStatus;
use crate::store::{self, WrappedKey};
use crate::vault::{Inner, Vault};

/// How many rows are read at once; progress is told after each batch.
const BATCH: i64 = 100;

/// How many of a batch are re-wrapped at the same time.
const AT_ONCE: usize = 8;

/// After so many failures in a row a region key is given up: it, or the one that seals, does not work.
const FAILURES_IN_A_ROW: u32 = 20;

/// How far a rotation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RotationProgress {
    /// How many data keys were to be re-wrapped when it began.
    pub of: u64,
    /// How many were re-wrapped.
    pub rotated: u64,
    /// How many were re-wrapped or destroyed by others meanwhile.
    pub overtaken: u64,
    /// How many could not be re-wrapped.
    pub failed: u64,
}

/// How a rotation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RotationReport {
    /// The region key that seals.
    pub sealing: String,
    /// How many data keys were re-wrapped under it.
    pub rotated: u64,
    /// How many were re-wrapped or destroyed by others meanwhile.
    pub overtaken: u64,
    /// What could not be re-wrapped, and why.
    pub failures: Vec<RotationFailure>,
    /// What hangs on each region key now.
    pub status: KeyStatus,
}

/// Data keys of one region key that could not be re-wrapped for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RotationFailure {
    /// The region key that wraps them.
    pub region_key: String,
    /// The class of the failure.
    pub class: &'static str,
    /// How many were tried in vain.
    pub data_keys: u64,
    /// What the first of them said.
    pub reason: String,
    /// Whether the rest of this region key's was left untried, because too many failed in a row.
    pub gave_up: bool,
}

impl RotationReport {
    /// True when every live data key hangs on the region key that seals.
    pub fn is_complete(&self) -> bool {
        self.status.to_rotate == 0
    }
}

enum Rewrapped {
    Rotated,
    Overtaken,
    Failed(VaultError),
}

impl Vault {
    /// Re-wraps every live data key that does not hang on the region key that seals. Each is one change of one row, made only
    /// if the row is still what was read: a rotation may be killed at any time and begun again, several may run at once, and a
    /// key that is destroyed meanwhile stays destroyed. The data keys themselves do not change, so nothing that they sealed is
    /// touched. An error is one of the database; what a region key refuses stands in the report.
    pub async fn rotate(
        &self,
        mut progress: impl FnMut(RotationProgress),
    ) -> Result<RotationReport, VaultError> {
        let before = self.status().await?;
        let mut run = Run {
            inner: &self.inner,
            progress: RotationProgress {
                of: before.to_rotate,
                ..RotationProgress::default()
            },
            failures: BTreeMap::new(),
        };
        for key in before
            .region_keys
            .iter()
            .filter(|key| !key.seals && key.configured)
        {
            run.region_key(&key.id, &mut progress).await?;
        }
        let status = self.status().await?;
        let RotationProgress {
            rotated, overtaken, ..
        } = run.progress;
        let report = RotationReport {
            sealing: self.inner.region_keys.sealing().id().to_owned(),
            rotated,
            overtaken,
            failures: run.failures.into_values().collect(),
            status,
        };
        info!(
            region_key = report.sealing,
            rotated,
            overtaken,
            left = report.status.to_rotate,
            "the rotation of data keys ended"
        );
        Ok(report)
    }
}

struct Run<'a> {
    inner: &'a Inner,
    progress: RotationProgress,
    /// By region key and class.
    failures: BTreeMap<(String, &'static str), RotationFailure>,
}

impl Run<'_> {
    /// All live data keys of one region key, in the order of their ids: those that are made meanwhile come last.
    async fn region_key(
        &mut self,
        region_key: &str,
        progress: &mut impl FnMut(RotationProgress),
    ) -> Result<(), VaultError> {
        let mut after: Option<KeyId> = None;
        let mut in_a_row = 0;
        loop {
            let rows = {
                let mut conn = self.inner.db.conn().await?;
                store::wrapped_by(&mut conn, region_key, after, BATCH).await?
            };
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = Some(last.id);
            let mut outcomes = stream::iter(rows)
                .map(|row| self.inner.rewrap(row))
                .buffer_unordered(AT_ONCE);
            let mut seen = Vec::new();
            while let Some(outcome) = outcomes.next().await {
                seen.push(outcome?);
            }
            drop(outcomes);
            for outcome in seen {
                in_a_row = self.count(region_key, in_a_row, outcome);
            }
            progress(self.progress);
            if in_a_row >= FAILURES_IN_A_ROW {
                self.give_up(region_key);
                return Ok(());
            }
        }
    }

    /// Counts an outcome; gives the length of the row of failures that it ends.
    fn count(&mut self, region_key: &str, in_a_row: u32, outcome: Rewrapped) -> u32 {
        let error = match outcome {
            Rewrapped::Rotated => {
                self.progress.rotated += 1;
                return 0;
            }
            Rewrapped::Overtaken => {
                self.progress.overtaken += 1;
                return 0;
            }
            Rewrapped::Failed(error) => error,
        };
        self.progress.failed += 1;
        let class = error.class();
        self.failures
            .entry((region_key.to_owned(), class))
            .or_insert_with(|| {
                let reason = chain(&error);
                warn!(region_key, class, reason, "data keys could not be re-wrapped");
                RotationFailure {
                    region_key: region_key.to_owned(),
                    class,
                    data_keys: 0,
                    reason,
                    gave_up: false,
                }
            })
            .data_keys += 1;
        in_a_row + 1
    }

    fn give_up(&mut self, region_key: &str) {
        for failure in self.failures.values_mut() {
            if failure.region_key == region_key {
                failure.gave_up = true;
            }
        }
    }
}

impl Inner {
    /// Re-wraps one data key. No connection is held while a key service is called.
    async fn rewrap(&self, row: WrappedKey) -> Result<Rewrapped, VaultError> {
        let Some(old) = row.wrapped else {
            return Ok(Rewrapped::Overtaken);
        };
        let keys = &self.region_keys;
        let new = match keys.unwrap(&row.region_key_id, row.id, &old).await {
            Ok(data_key) => keys.wrap(self.ids.rng().as_ref(), row.id, &data_key).await,
            Err(error) => Err(error),
        };
        let new = match new {
            Ok(new) => new,
            Err(error) => return Ok(Rewrapped::Failed(error)),
        };
        let mut conn = self.db.conn().await?;
        let changed = store::rewrap(
            &mut conn,
            row.id,
            (&row.region_key_id, &old),
            (keys.sealing().id(), &new),
        )
        .await?;
        Ok(if changed {
            Rewrapped::Rotated
        } else {
            Rewrapped::Overtaken
        })
    }
}
