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

/// How often the grants are counted that are in trouble.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(15);

/// Every so many rounds all are counted, which reads the primary key from end to end.
const WHOLE_COUNT_EVERY: u32 = 20;

impl Linking {
    /// Counts the grants by state until `stop` is cancelled. Run it beside the jobs.
    pub async fn sample(&self, stop: CancellationToken) {
        METRICS.start_at_zero();
        for round in 0_u32.. {
            if stop.is_cancelled() {
                return;
            }
            match self
                .count_grants(round % WHOLE_COUNT_EVERY == WHOLE_COUNT_EVERY - 1)
                .await
            {
                Ok((troubled, fresh)) => METRICS.grants(&troubled, fresh),
                Err(error) => warn!(%error, "the grants could not be counted"),
            }
            let _ = timeout(SAMPLE_INTERVAL, stop.cancelled()).await;
        }
    }

    async fn count_grants(&self, whole: bool) -> Result<(Vec<(GrantState, i64)>, Option<i64>), StoreError> {
        let mut conn = self.parts.db.conn().await?;
        let troubled = store::grants::count_troubled(&mut conn).await?;
        if !whole {
            return Ok((troubled, None));
        }
        let others: i64 = troubled.iter().map(|(_, count)| count).sum();
        let all = store::grants::count(&mut conn).await?;
        Ok((troubled, Some(all.saturating_sub(others))))
    }
}
