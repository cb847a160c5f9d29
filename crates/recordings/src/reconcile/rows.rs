//! Rows that say "stored": whether the object is there, and as it was.

use domicile_kernel::FileId;
use domicile_kernel::state::RecordingStatus;
use domicile_leases::{NewJob, enqueue};
use domicile_objects::{ObjectKey, ObjectsError};
use domicile_store::{Conn, StoreError};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use super::{Act, BATCH, Discrepancy, ReconcileOptions, Reconciled, Reconciler, Reconciliation};
use crate::error::{FetchError, RecordingsError};
use crate::jobs::{FETCH, living};
use crate::store::{self, reconcile::StoredRow};

impl Reconciler {
    pub(super) async fn rows(
        &self,
        options: &ReconcileOptions,
        report: &mut Reconciliation,
    ) -> Result<(), RecordingsError> {
        let mut after: Option<FileId> = None;
        loop {
            let rows = {
                let mut conn = self.shared.db.conn().await?;
                store::reconcile::stored(&mut conn, after, BATCH).await?
            };
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = Some(last.id);
            for row in rows {
                report.stored_files += 1;
                let Some(discrepancy) = self.compare(&row, options.deep).await? else {
                    continue;
                };
                let alive = !options.apply || self.refetch(&row).await?;
                if alive {
                    let found = Reconciled::new(discrepancy, Act::Refetch).file(row.id);
                    report.found.push(found.object(row.key.as_str()));
                }
            }
        }
    }

    async fn compare(&self, row: &StoredRow, deep: bool) -> Result<Option<Discrepancy>, RecordingsError> {
        let Some(head) = self.storage.head(&row.key).await.map_err(FetchError::from)? else {
            return Ok(Some(Discrepancy::MissingObject));
        };
        if head.size_bytes != row.size_bytes {
            return Ok(Some(Discrepancy::WrongSize));
        }
        if !deep {
            return Ok(None);
        }
        match self.digest(&row.key).await {
            Ok((_, sha256)) if sha256.as_slice() == row.sha256.as_slice() => Ok(None),
            Ok(_) => Ok(Some(Discrepancy::WrongBytes)),
            Err(ObjectsError::NotFound { .. }) => Ok(Some(Discrepancy::MissingObject)),
            Err(error) => Err(FetchError::from(error).into()),
        }
    }

    /// Size and SHA-256 of an object, read from end to end.
    pub(super) async fn digest(&self, key: &ObjectKey) -> Result<(u64, [u8; 32]), ObjectsError> {
        let (mut size, mut hash) = (0, Sha256::new());
        let mut pieces = self.storage.read(key, None);
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            size += piece.len() as u64;
            hash.update(&piece);
        }
        Ok((size, hash.finalize().into()))
    }

    /// The file waits again, and its recording with it. False if it was erased or changed meanwhile.
    async fn refetch(&self, row: &StoredRow) -> Result<bool, RecordingsError> {
        let shared = &self.shared;
        Ok(shared
            .db
            .run_tx(
                "refetch_recording_file",
                async |conn: &mut Conn| -> Result<bool, StoreError> {
                    let now = shared.now();
                    let Some((recording, _)) = store::one_listed(conn, row.recording_id).await? else {
                        return Ok(false);
                    };
                    if living(store::hold_link(conn, recording.link_id()).await?).is_none() {
                        return Ok(false);
                    }
                    let Some(recording) = store::lock(conn, row.recording_id).await? else {
                        return Ok(false);
                    };
                    if !store::reconcile::unstore(conn, row.id, &row.key, now).await? {
                        return Ok(false);
                    }
                    store::set_status(conn, recording.id(), RecordingStatus::Fetching, now).await?;
                    let account = recording.account();
                    let job = NewJob {
                        kind: FETCH,
                        key: &row.id.to_string(),
                        lane: Some(account.as_str()),
                        due_at: now,
                        traceparent: None,
                    };
                    enqueue(conn, &shared.ids, job).await?;
                    Ok(true)
                },
            )
            .await?)
    }
}
