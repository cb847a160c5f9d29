//! Deleting what was kept long enough.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domicile_kernel::{Clock, Timestamp};
use domicile_store::{Conn, Db, StoreError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::metrics::METRICS;
use crate::settings::Retention;
use crate::store::{self, DISPATCHED, QUARANTINED};

/// How often it is looked for.
const INTERVAL: Duration = Duration::from_mins(10);
/// How many rows one transaction deletes, so that none runs long.
const BATCH: usize = 1000;

macro_rules! in_batches {
    ($db:expr, $delete:path, $before:expr) => {{
        let (limit, mut all) = (i64::try_from(BATCH).unwrap_or(i64::MAX), 0);
        loop {
            let rows = $db
                .run_tx("delete_from_inbox", async |conn: &mut Conn| {
                    $delete(conn, $before, limit).await
                })
                .await?;
            all += rows;
            if rows < BATCH {
                break all;
            }
        }
    }};
}

/// Deletes until `stop` is cancelled.
pub(crate) async fn run(db: &Db, clock: &Arc<dyn Clock>, retention: Retention, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match stop.run_until_cancelled(delete(db, clock.now(), retention)).await {
            Some(Ok(0)) | None => {}
            Some(Ok(rows)) => info!(rows, "rows of the inbox were deleted because their time was over"),
            Some(Err(error)) => {
                warn!(%error, "old rows of the inbox could not be deleted; it is tried again");
            }
        }
        let _ = timeout(INTERVAL, stop.cancelled()).await;
    }
}

/// Deletes everything whose time is over now, and says how many rows it was.
pub(crate) async fn delete(db: &Db, now: Timestamp, retention: Retention) -> Result<usize, StoreError> {
    let before = |age: Duration| {
        TimeDelta::from_std(age)
            .ok()
            .and_then(|age| now.checked_sub_signed(age))
    };
    let mut all = 0;
    if let Some(before) = before(retention.dispatched.max(Retention::MIN)) {
        let rows = in_batches!(db, store::delete_dispatched, before);
        METRICS.deleted(DISPATCHED, rows);
        all += rows;
    }
    if let Some(before) = before(retention.quarantined.max(Retention::MIN)) {
        let rows = in_batches!(db, store::delete_quarantined, before);
        METRICS.deleted(QUARANTINED, rows);
        all += rows;
    }
    Ok(all)
}
