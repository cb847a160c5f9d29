//! Whose storage this is: a small object that the first use leaves, and every later process looks at (INV-1).

use std::fmt;
use std::sync::Arc;

use domicile_kernel::RegionId;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::sync::OnceCell;

use crate::error::ObjectsError;

/// The object's name, below the storage's prefix.
pub(crate) const NAME: &str = "domicile-region";
/// An id has 32 bytes at most; whatever is longer is no mark of ours, and is told in part.
const MAX_TOLD: usize = 40;

/// Lets nobody write or read before the storage has shown this region's mark. Passed once, it costs nothing.
#[derive(Clone)]
pub(crate) struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn ObjectStore>,
    path: Path,
    region: RegionId,
    passed: OnceCell<()>,
}

impl Gate {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: Path, region: RegionId) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                path,
                region,
                passed: OnceCell::new(),
            }),
        }
    }

    /// Marks the storage if it has no mark, and refuses it if it has another region's.
    pub(crate) async fn pass(&self) -> Result<(), ObjectsError> {
        let inner = &self.inner;
        let looked = inner.passed.get_or_try_init(|| async {
            if inner.looked_at(inner.read().await?)? {
                return Ok(());
            }
            inner.write().await?;
            // Whoever came first has marked it, and what is read back decides.
            if inner.looked_at(inner.read().await?)? {
                Ok(())
            } else {
                Err(ObjectsError::Corrupt)
            }
        });
        looked.await.copied()
    }

    /// Looks at the mark. True: it is this region's; false: there is none yet. Nothing is written.
    pub(crate) async fn look(&self) -> Result<bool, ObjectsError> {
        self.inner.looked_at(self.inner.read().await?)
    }
}

impl Inner {
    async fn read(&self) -> Result<Option<String>, ObjectsError> {
        let failed = |error| ObjectsError::from_store("read its region's mark", NAME, error);
        let found = match self.store.get(&self.path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let bytes = found.bytes().await.map_err(failed)?;
        Ok(Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
    }

    async fn write(&self) -> Result<(), ObjectsError> {
        let failed = |error| ObjectsError::from_store("write its region's mark", NAME, error);
        let content = || PutPayload::from(format!("{}\n", self.region).into_bytes());
        let only_new = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&self.path, content(), only_new).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            // Some S3-compatible services know no condition. Nothing was there a moment ago.
            Err(object_store::Error::NotImplemented { .. }) => {
                self.store.put(&self.path, content()).await.map_err(failed)?;
                Ok(())
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn looked_at(&self, mark: Option<String>) -> Result<bool, ObjectsError> {
        match mark {
            None => Ok(false),
            Some(mark) if mark == self.region.as_str() => Ok(true),
            Some(mark) => Err(ObjectsError::ForeignRegion {
                ours: self.region.clone(),
                theirs: mark
                    .chars()
                    .filter(|it| !it.is_control())
                    .take(MAX_TOLD)
                    .collect(),
            }),
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("region", &self.inner.region)
            .field("passed", &self.inner.passed.initialized())
            .finish_non_exhaustive()
    }
}
