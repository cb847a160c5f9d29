//! One object on its way in.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::error::ObjectsError;
use crate::key::ObjectKey;
use crate::mark::Gate;

/// The size of a part. All but the last are equal, as some S3-compatible services demand; S3's least is 5 MiB.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// How many parts are sent at once. With the one that is being filled an upload holds at most 32 MiB.
const PARTS_AT_ONCE: usize = 3;
/// S3's "Multipart upload limits".
const MAX_PARTS: u64 = 10_000;
const MAX_BYTES: u64 = MAX_PARTS * PART_BYTES as u64;

/// An object that is being written. It becomes visible as a whole by [`Upload::finish`], or never: an upload that is
/// aborted, fails or is dropped leaves no object, and what it sent is discarded.
///
/// Memory is bounded at 32 MiB; [`Upload::write`] waits while storage is slower than the source.
pub struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    key: ObjectKey,
    part: BytesMut,
    /// Begun with the first full part; smaller objects are sent at once.
    multipart: Option<Box<dyn MultipartUpload>>,
    sending: JoinSet<object_store::Result<()>>,
    hash: Sha256,
    size_bytes: u64,
    failed: bool,
    /// Nothing is sent before the storage has shown its region's mark.
    gate: Option<Gate>,
}

/// What was stored: the size and SHA-256 of the bytes as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredObject {
    /// The object's size in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

impl Upload {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: Path, key: ObjectKey, gate: Option<Gate>) -> Self {
        Self {
            store,
            path,
            key,
            part: BytesMut::new(),
            multipart: None,
            sending: JoinSet::new(),
            hash: Sha256::new(),
            size_bytes: 0,
            failed: false,
            gate,
        }
    }

    /// Appends bytes. After an error the upload takes nothing more.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectsError> {
        if self.failed {
            return Err(ObjectsError::UploadFailed);
        }
        // Stays set if this future is dropped half way: the bytes would be incomplete.
        self.failed = true;
        self.append(bytes).await?;
        self.failed = false;
        Ok(())
    }

    /// How many bytes were written so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Sends what is left and makes the object visible. When this returns, the object survives a crash: S3 promises it,
    /// and a folder has bytes and name on disk. After an error nothing is visible, unless only the answer was lost.
    pub async fn finish(mut self) -> Result<StoredObject, ObjectsError> {
        let outcome = if self.failed {
            Err(ObjectsError::UploadFailed)
        } else {
            self.complete().await
        };
        if let Err(error) = outcome {
            self.discard().await;
            return Err(error);
        }
        self.multipart = None;
        Ok(StoredObject {
            size_bytes: self.size_bytes,
            sha256: std::mem::take(&mut self.hash).finalize().into(),
        })
    }

    /// Gives the upload up and discards what was sent.
    pub async fn abort(mut self) {
        self.discard().await;
    }

    async fn append(&mut self, mut bytes: Bytes) -> Result<(), ObjectsError> {
        let more = bytes.len() as u64;
        if self.size_bytes + more > MAX_BYTES {
            return Err(ObjectsError::TooLarge { max_bytes: MAX_BYTES });
        }
        self.hash.update(&bytes);
        self.size_bytes += more;
        while !bytes.is_empty() {
            let room = PART_BYTES - self.part.len();
            self.part
                .extend_from_slice(&bytes.split_to(room.min(bytes.len())));
            if self.part.len() == PART_BYTES {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    /// Starts to send the part that was filled, once fewer than [`PARTS_AT_ONCE`] are on their way.
    async fn send_part(&mut self) -> Result<(), ObjectsError> {
        while self.sending.len() >= PARTS_AT_ONCE {
            self.one_sent().await?;
        }
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            none => {
                if let Some(gate) = &self.gate {
                    gate.pass().await?;
                }
                let begun = self
                    .store
                    .put_multipart(&self.path)
                    .await
                    .map_err(|error| failed(&self.key, error))?;
                none.insert(begun)
            }
        };
        let part = std::mem::take(&mut self.part).freeze();
        self.sending
            .spawn(multipart.put_part(PutPayload::from_bytes(part)).in_current_span());
        Ok(())
    }

    /// Waits until one of the parts on their way has arrived; false if there is none.
    async fn one_sent(&mut self) -> Result<bool, ObjectsError> {
        match self.sending.join_next().await {
            None => Ok(false),
            Some(Ok(Ok(()))) => Ok(true),
            Some(Ok(Err(error))) => Err(failed(&self.key, error)),
            Some(Err(error)) => Err(failed(&self.key, error.into())),
        }
    }

    async fn complete(&mut self) -> Result<(), ObjectsError> {
        if self.multipart.is_none() {
            if let Some(gate) = &self.gate {
                gate.pass().await?;
            }
            let whole = PutPayload::from_bytes(std::mem::take(&mut self.part).freeze());
            self.store
                .put(&self.path, whole)
                .await
                .map_err(|error| failed(&self.key, error))?;
            return Ok(());
        }
        if !self.part.is_empty() {
            self.send_part().await?;
        }
        while self.one_sent().await? {}
        if let Some(multipart) = &mut self.multipart {
            multipart
                .complete()
                .await
                .map_err(|error| failed(&self.key, error))?;
        }
        Ok(())
    }

    async fn discard(&mut self) {
        self.sending.shutdown().await;
        if let Some(multipart) = self.multipart.take() {
            discard(multipart, self.key.clone()).await;
        }
    }
}

/// Discards in the background what was sent, if a runtime is there to do it.
impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(multipart), Ok(runtime)) = (self.multipart.take(), Handle::try_current()) {
            let key = self.key.clone();
            let mut sending = std::mem::take(&mut self.sending);
            runtime.spawn(
                async move {
                    sending.shutdown().await;
                    discard(multipart, key).await;
                }
                .in_current_span(),
            );
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("key", &self.key)
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}

fn failed(key: &ObjectKey, error: object_store::Error) -> ObjectsError {
    ObjectsError::from_store("write an object", key.as_str(), error)
}

async fn discard(mut multipart: Box<dyn MultipartUpload>, key: ObjectKey) {
    if let Err(error) = multipart.abort().await {
        tracing::warn!(
            object.key = key.as_str(),
            error = %error,
            "the parts of an unfinished upload could not be discarded; the bucket's lifecycle rule has to"
        );
    }
}
