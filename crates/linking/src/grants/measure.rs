//! The state of all grants, for the metrics.

use std::time::Duration;

use domicile_kernel::state::GrantState;
use domicile_store::StoreError;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::linking::Linking;
use crate::metrics::METRICS;
use crate::store;

/// How often the grants are counted.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(15);

impl Linking {
    /// Counts the grants that are unsure or ended until `stop` is cancelled. Run it beside the jobs.
    pub async fn sample(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.troubled().await {
                Ok(troubled) => METRICS.grants(&troubled),
                Err(error) => warn!(%error, "the grants could not be counted"),
            }
            let _ = timeout(SAMPLE_INTERVAL, stop.cancelled()).await;
        }
    }

    async fn troubled(&self) -> Result<Vec<(GrantState, i64)>, StoreError> {
        store::grants::count_troubled(&mut *self.parts.db.conn().await?).await
    }
}
