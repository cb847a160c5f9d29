//! What one attempt at a file writes to storage, and how it is cleared away unless it becomes the file.

use std::sync::Arc;

use domicile_kernel::{Clock, FileId};
use domicile_objects::{ObjectKey, ObjectStorage};
use domicile_store::{Conn, Db};
use tokio::runtime::Handle;
use tracing::{Instrument, warn};

use crate::error::{FetchError, RecordingsError};
use crate::store;

/// Clears away what attempts left in storage.
#[derive(Clone)]
pub(crate) struct Leftovers {
    pub(crate) db: Db,
    pub(crate) storage: ObjectStorage,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Leftovers {
    /// Deletes what an attempt left that nobody can commit any more. The row forgets the key only after that, so a crash
    /// in between loses no trace of the object.
    pub(crate) async fn clear(&self, file: FileId, key: &ObjectKey) -> Result<(), RecordingsError> {
        self.storage.delete(key).await.map_err(FetchError::from)?;
        self.db
            .run_tx(
                "forget_recording_attempt",
                async |conn: &mut Conn| -> Result<(), RecordingsError> {
                    Ok(store::forget_attempt(conn, file, key, self.clock.now()).await?)
                },
            )
            .await
    }

    /// The same for an attempt that has ended, but perhaps with a commit whose outcome nobody heard.
    pub(crate) async fn clear_unless_stored(
        &self,
        file: FileId,
        key: &ObjectKey,
    ) -> Result<(), RecordingsError> {
        let row = self
            .db
            .run_tx("look_after_recording_attempt", async |conn: &mut Conn| {
                // A commit under way holds the row, even when its caller is gone.
                store::lock_file(conn, file).await
            })
            .await?;
        if row.is_some_and(|row| row.object_key.as_deref() == Some(key.as_str())) {
            return Ok(());
        }
        self.clear(file, key).await
    }

    async fn clear_if_possible(&self, file: FileId, key: &ObjectKey) {
        if let Err(error) = self.clear_unless_stored(file, key).await {
            warn!(
                file.id = %file,
                object.key = key.as_str(),
                error = %error,
                "what an attempt wrote may be left in storage"
            );
        }
    }
}

/// One attempt's place in storage: a key that no other attempt writes to. What stands there is deleted when the attempt
/// is discarded or dropped, as it is when its lease is lost, and stays when it is [kept](Attempt::keep).
pub(crate) struct Attempt {
    leftovers: Leftovers,
    file: FileId,
    key: ObjectKey,
    ended: bool,
}

impl Attempt {
    /// The attempt whose key the file's row names.
    pub(crate) fn new(leftovers: Leftovers, file: FileId, key: ObjectKey) -> Self {
        Self {
            leftovers,
            file,
            key,
            ended: false,
        }
    }

    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The object is the file now.
    pub(crate) fn keep(mut self) {
        self.ended = true;
    }

    /// Deletes the object, if storage and database allow. If not, the row still names it to whoever is next.
    pub(crate) async fn discard(mut self) {
        self.leftovers.clear_if_possible(self.file, &self.key).await;
        self.ended = true;
    }
}

/// Discards in the background, if a runtime is there to do it.
impl Drop for Attempt {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (leftovers, file, key) = (self.leftovers.clone(), self.file, self.key.clone());
            runtime.spawn(async move { leftovers.clear_if_possible(file, &key).await }.in_current_span());
        }
    }
}
