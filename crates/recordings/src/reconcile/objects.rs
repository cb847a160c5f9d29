//! Objects: whether a row names each of them.

use std::collections::HashMap;

use domicile_kernel::state::FileStatus;
use domicile_kernel::{FileId, Timestamp};
use domicile_leases::{NewJob, enqueue};
use domicile_objects::{ListedObject, StoredObject};
use domicile_store::{Conn, StoreError};
use futures_util::StreamExt;

use super::{Act, BATCH, Discrepancy, ReconcileOptions, Reconciled, Reconciler, Reconciliation};
use crate::error::{FetchError, RecordingsError};
use crate::format::content_type_of;
use crate::jobs::{OBJECTS_FOLDER, SETTLE, living};
use crate::store::{self, FileRow};

impl Reconciler {
    pub(super) async fn objects(
        &self,
        options: &ReconcileOptions,
        report: &mut Reconciliation,
    ) -> Result<(), RecordingsError> {
        let old = self
            .shared
            .now()
            .checked_sub_signed(options.grace)
            .unwrap_or(Timestamp::MIN_UTC);
        let mut listed = self.storage.list(OBJECTS_FOLDER).ready_chunks(BATCH);
        while let Some(chunk) = listed.next().await {
            let objects: Vec<_> = chunk
                .into_iter()
                .collect::<Result<_, _>>()
                .map_err(FetchError::from)?;
            let ids: Vec<FileId> = objects.iter().filter_map(|object| file_of(&object.key)).collect();
            let rows: HashMap<FileId, FileRow> = {
                let mut conn = self.shared.db.conn().await?;
                let rows = store::reconcile::files(&mut conn, &ids).await?;
                rows.into_iter().map(|row| (row.id(), row)).collect()
            };
            for object in objects {
                report.objects += 1;
                if let Some(found) = judge(&object, &rows, old) {
                    report
                        .found
                        .extend(self.carry_out(&object, found, options.apply).await?);
                }
            }
        }
        Ok(())
    }

    /// Does what was judged, unless the row has changed since.
    async fn carry_out(
        &self,
        object: &ListedObject,
        found: Reconciled,
        apply: bool,
    ) -> Result<Option<Reconciled>, RecordingsError> {
        if !apply {
            return Ok(Some(found));
        }
        let done = match (found.act, found.file_id) {
            (Act::Delete, _) => {
                let key = parsed(&object.key)?;
                self.storage.delete(&key).await.map_err(FetchError::from)?;
                true
            }
            (Act::Adopt, Some(id)) => self.adopt(id, object).await?,
            _ => true,
        };
        Ok(done.then_some(found))
    }

    /// Makes the object the file that was given up. False if the file is not given up any more.
    async fn adopt(&self, id: FileId, object: &ListedObject) -> Result<bool, RecordingsError> {
        let shared = &self.shared;
        let key = parsed(&object.key)?;
        let (size_bytes, sha256) = self.digest(&key).await.map_err(FetchError::from)?;
        let stored = StoredObject { size_bytes, sha256 };
        Ok(shared
            .db
            .run_tx(
                "adopt_recording_file",
                async |conn: &mut Conn| -> Result<bool, StoreError> {
                    let now = shared.now();
                    let Some(file) = store::file(conn, id).await? else {
                        return Ok(false);
                    };
                    let Some((recording, _)) = store::one_listed(conn, file.recording_id()).await? else {
                        return Ok(false);
                    };
                    if living(store::hold_link(conn, recording.link_id()).await?).is_none() {
                        return Ok(false);
                    }
                    store::lock(conn, recording.id()).await?;
                    let Some(file) = store::lock_file(conn, id).await? else {
                        return Ok(false);
                    };
                    // A file whose last attempt left something is cleared by its recording's job first.
                    if file.status()? != FileStatus::Failed || file.attempt_key()?.is_some() {
                        return Ok(false);
                    }
                    store::begin_attempt(conn, id, &key, now).await?;
                    let content_type = content_type_of(&file.extension);
                    store::mark_stored(conn, id, &key, &stored, content_type, now).await?;
                    let job = NewJob {
                        kind: SETTLE,
                        key: &recording.id().to_string(),
                        lane: None,
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

/// What does not agree of an object; nothing where its row names it.
fn judge(object: &ListedObject, rows: &HashMap<FileId, FileRow>, old: Timestamp) -> Option<Reconciled> {
    let key = object.key.as_str();
    let Some(id) = file_of(key) else {
        let found = Reconciled::new(Discrepancy::ForeignName, Act::Keep).object(key);
        return Some(found.because("the name is none that this service gives"));
    };
    let row = rows.get(&id);
    let names = |row: &FileRow| {
        row.object_key.as_deref() == Some(key)
            || row
                .attempt_key()
                .is_ok_and(|attempt| attempt.is_some_and(|it| it.as_str() == key))
    };
    if row.is_some_and(names) {
        return None;
    }
    let orphan = |act| Reconciled::new(Discrepancy::Orphan, act).file(id).object(key);
    let unclaimed = |act| Reconciled::new(Discrepancy::Unclaimed, act).file(id).object(key);
    let Some(row) = row else {
        return Some(if object.modified_at > old {
            orphan(Act::Keep).because("it is younger than the grace time")
        } else {
            orphan(Act::Delete)
        });
    };
    let announced = row.announced_size_bytes.and_then(|size| u64::try_from(size).ok());
    Some(match row.status() {
        Ok(FileStatus::Stored) if object.modified_at > old => {
            orphan(Act::Keep).because("it is younger than the grace time")
        }
        Ok(FileStatus::Stored) => orphan(Act::Delete),
        Ok(FileStatus::Failed) if announced == Some(object.size_bytes) => unclaimed(Act::Adopt),
        Ok(FileStatus::Failed) => unclaimed(Act::Keep).because("it has not the size that Zoom announced"),
        _ => unclaimed(Act::Keep).because("the file is still to be fetched; run this again after that"),
    })
}

fn parsed(key: &str) -> Result<domicile_objects::ObjectKey, RecordingsError> {
    domicile_objects::ObjectKey::parse(key)
        .map_err(|error| FetchError::from(domicile_objects::ObjectsError::from(error)).into())
}

/// The file of `recordings/<link id>/<recording id>/<file id>-<random>.<ending>`.
fn file_of(key: &str) -> Option<FileId> {
    const ID_LENGTH: usize = 36;
    let mut parts = key.split('/');
    let (folder, link, recording, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_id = |text: &str| text.len() == ID_LENGTH && text.parse::<FileId>().is_ok();
    let (id, rest) = name.split_at_checked(ID_LENGTH)?;
    let ours = folder == OBJECTS_FOLDER && is_id(link) && is_id(recording) && rest.starts_with('-');
    if !ours || parts.next().is_some() {
        return None;
    }
    id.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_key_is_read_and_foreign_names_are_told_apart() {
        let id = "018f2b6e-7c1a-7d3e-9a55-6f1d2c3b4a59";
        let ours = format!("recordings/{id}/{id}/{id}-00ff.mp4");
        assert_eq!(file_of(&ours).unwrap().to_string(), id);
        for foreign in [
            "recordings/a/b/c.mp4".to_owned(),
            format!("recordings/{id}/{id}/{id}.mp4"),
            format!("recordings/{id}/{id}/{id}-0/x"),
            format!("other/{id}/{id}/{id}-0.mp4"),
            format!("recordings/{id}/{id}"),
        ] {
            assert_eq!(file_of(&foreign), None, "{foreign}");
        }
    }
}
