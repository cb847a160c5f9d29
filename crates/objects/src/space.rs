//! How much room a storage folder has left.

use std::path::Path;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::metrics::METRICS;
use crate::storage::ObjectStorage;

/// How often the file system is asked.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(30);

impl ObjectStorage {
    /// Measures the room that `file://` storage has left until `stop` is cancelled; for S3, which has no such number, it ends
    /// at once.
    pub async fn sample(&self, stop: CancellationToken) {
        METRICS.start_at_zero();
        let Some(folder) = self.folder() else { return };
        while !stop.is_cancelled() {
            let asked = folder.clone();
            match tokio::task::spawn_blocking(move || space(&asked)).await {
                Ok(Ok((free_bytes, capacity_bytes))) => METRICS.space(free_bytes, capacity_bytes),
                Ok(Err(error)) => warn!(%error, "the room of the storage folder could not be measured"),
                // The process is at its end.
                Err(_) => return,
            }
            let _ = timeout(SAMPLE_INTERVAL, stop.cancelled()).await;
        }
    }
}

/// Free bytes, as far as this process may use them, and all.
fn space(folder: &Path) -> nix::Result<(u64, u64)> {
    let found = statvfs(folder)?;
    let fragment = found.fragment_size();
    Ok((
        found.blocks_available().saturating_mul(fragment),
        found.blocks().saturating_mul(fragment),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_no_more_room_than_its_file_system() {
        let folder = tempfile::tempdir().unwrap();
        let (free, capacity) = space(folder.path()).unwrap();
        assert!(capacity > 0);
        assert!(free <= capacity);
        assert!(space(&folder.path().join("absent")).is_err());
    }
}
