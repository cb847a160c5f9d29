//! Storage as a whole.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domicile_egress::{Client, HostRule, Timeouts};
use domicile_kernel::{RegionId, Timestamp};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    BackoffConfig, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig,
};
use url::Url;

use crate::error::{ObjectsError, SettingFault};
use crate::key::ObjectKey;
use crate::mark::{self, Gate};
use crate::options::{S3Options, S3Settings};
use crate::transport::Fenced;
use crate::upload::Upload;

/// The time-outs that the client for storage should have: a part of 8 MiB is sent within `read`, slow lines included.
pub const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    read: Duration::from_mins(1),
    total: None,
};

/// The object by which [`ObjectStorage::probe`] tries the storage.
const PROBE: (&str, &[u8]) = ("domicile-probe", b"domicile\n");

/// The region's object storage: a bucket of an S3-compatible service or a local folder. Cheap to clone.
#[derive(Clone)]
pub struct ObjectStorage {
    store: Arc<dyn ObjectStore>,
    /// What stands before every key, without slashes at its ends.
    prefix: String,
    folder: Option<Arc<PathBuf>>,
    /// Stands before every use once the region is known.
    gate: Option<Gate>,
}

/// What storage knows of an object without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectHead {
    /// The object's size in bytes.
    pub size_bytes: u64,
}

/// An object as a list shows it. Its name may be one that no [`ObjectKey`] has: others may write to a bucket too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// The name below the storage's prefix.
    pub key: String,
    /// The object's size in bytes.
    pub size_bytes: u64,
    /// When it was written last.
    pub modified_at: Timestamp,
}

impl ObjectStorage {
    /// Opens `s3://bucket/prefix` or `file:///path`. All traffic to S3 goes through the client. A folder is made if its
    /// parent exists. Nothing is called yet: [`ObjectStorage::probe`] does.
    pub fn open(url: &Url, options: &S3Options, client: Client) -> Result<Self, ObjectsError> {
        match url.scheme() {
            "file" => Self::open_folder(&folder_of(url)?),
            "s3" => {
                let settings = S3Settings::read(url, options).map_err(settings)?;
                let prefix = settings.prefix.clone();
                let store = settings
                    .builder()
                    .with_http_connector(Fenced(client))
                    .with_retry(retries())
                    .build()
                    .map_err(|error| ObjectsError::from_store("set up its client", "", error))?;
                Ok(Self {
                    store: Arc::new(store),
                    prefix,
                    folder: None,
                    gate: None,
                })
            }
            _ => Err(settings(vec![not_a_storage_url()])),
        }
    }

    /// The hosts that storage calls, for the fence: none for a folder; the bucket's, and the token service's where a web
    /// identity is used. They are named by the operator's settings, so the roof may mark them internal.
    pub fn egress_rules(url: &Url, options: &S3Options) -> Result<Vec<HostRule>, ObjectsError> {
        match url.scheme() {
            "file" => folder_of(url).map(|_| Vec::new()),
            "s3" => S3Settings::read(url, options)
                .map_err(settings)?
                .hosts()
                .map_err(|invalid| {
                    settings(vec![SettingFault::new("AWS_ENDPOINT_URL", invalid.to_string())])
                }),
            _ => Err(settings(vec![not_a_storage_url()])),
        }
    }

    fn open_folder(path: &FilePath) -> Result<Self, ObjectsError> {
        let failed = |source: io::Error| ObjectsError::Folder {
            path: path.to_owned(),
            source,
        };
        match std::fs::create_dir(path) {
            Ok(()) => sync_folder(path.parent().unwrap_or(path)).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(failed(error)),
        }
        let store = LocalFileSystem::new_with_prefix(path)
            .map_err(|error| ObjectsError::from_store("open its folder", "", error))?
            .with_automatic_cleanup(true)
            // Bytes, name and folders are on disk before a write is reported done.
            .with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            prefix: String::new(),
            folder: Some(Arc::new(path.to_owned())),
            gate: None,
        })
    }

    /// The same storage for one region: before its first use it is marked as that region's, and if it carries another region's
    /// mark, every use of it is an error (INV-1).
    #[must_use]
    pub fn for_region(self, region: RegionId) -> Self {
        let path = self.below_prefix(mark::NAME);
        let gate = Gate::new(Arc::clone(&self.store), path, region);
        Self {
            gate: Some(gate),
            ..self
        }
    }

    /// Looks at the storage's mark without leaving one. True: it is the region's; false: there is none yet.
    pub async fn region_mark(&self) -> Result<bool, ObjectsError> {
        match &self.gate {
            Some(gate) => gate.look().await,
            None => Ok(false),
        }
    }

    /// Marks the storage as the region's if nobody did, and refuses it if another region did.
    pub async fn mark_region(&self) -> Result<(), ObjectsError> {
        match &self.gate {
            Some(gate) => gate.pass().await,
            None => Ok(()),
        }
    }

    /// Begins an upload. Nothing is visible under the key until [`Upload::finish`]; an object that is there already
    /// stays until then, and is replaced at once.
    pub fn begin(&self, key: &ObjectKey) -> Upload {
        Upload::new(self.store.clone(), self.path(key), key.clone(), self.gate.clone())
    }

    /// The object's bytes, or those of a range, which is cut at the object's end. The first item is
    /// [`ObjectsError::NotFound`] if there is no such object.
    pub fn read(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
    ) -> BoxStream<'static, Result<Bytes, ObjectsError>> {
        let (store, path, key) = (self.store.clone(), self.path(key), key.clone());
        let marked = self.clone();
        let opened = async move {
            marked.mark_region().await?;
            if range.as_ref().is_some_and(Range::is_empty) {
                return Err(ObjectsError::EmptyRange);
            }
            let options = GetOptions {
                range: range.map(GetRange::Bounded),
                ..GetOptions::default()
            };
            let failed = move |error| ObjectsError::from_store("read an object", key.as_str(), error);
            match store.get_opts(&path, options).await {
                Ok(found) => Ok(found.into_stream().map_err(failed)),
                Err(error) => Err(failed(error)),
            }
        };
        stream::once(opened).try_flatten().boxed()
    }

    /// What storage knows of the object; `None` if there is none. S3 needs `s3:ListBucket` to tell a missing object from
    /// a forbidden one.
    pub async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectHead>, ObjectsError> {
        self.mark_region().await?;
        match self.store.head(&self.path(key)).await {
            Ok(meta) => Ok(Some(ObjectHead {
                size_bytes: meta.size,
            })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(ObjectsError::from_store("look at an object", key.as_str(), error)),
        }
    }

    /// Every object below this folder, in no order. What is being written is not among them.
    pub fn list(&self, folder: &str) -> BoxStream<'static, Result<ListedObject, ObjectsError>> {
        let (store, below) = (self.store.clone(), self.below_prefix(folder));
        let (marked, prefix) = (self.clone(), self.prefix.clone());
        let opened = async move {
            marked.mark_region().await?;
            let failed = |error| ObjectsError::from_store("list objects", "", error);
            let listed = store.list(Some(&below)).map_err(failed).map_ok(move |meta| {
                let path = meta.location.as_ref();
                let key = path
                    .strip_prefix(prefix.as_str())
                    .map_or(path, |key| key.trim_start_matches('/'));
                ListedObject {
                    key: key.to_owned(),
                    size_bytes: meta.size,
                    modified_at: meta.last_modified,
                }
            });
            Ok::<_, ObjectsError>(listed)
        };
        stream::once(opened).try_flatten().boxed()
    }

    /// Deletes the object; one that is absent is as good as deleted. In a folder the deletion is on disk when this
    /// returns, and folders that became empty are gone.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectsError> {
        self.mark_region().await?;
        match self.store.delete(&self.path(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(ObjectsError::from_store("delete an object", key.as_str(), error)),
        }
        self.sync_after_delete(key).await
    }

    /// Tries the storage: reads a small object back, and writes it first if it is not there. One read when all is well.
    pub async fn probe(&self) -> Result<(), ObjectsError> {
        self.mark_region().await?;
        let (name, content) = PROBE;
        let key = ObjectKey::parse(name)?;
        let path = self.path(&key);
        let first = self.store.get(&path).await;
        let found = match first {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. } | object_store::Error::PermissionDenied { .. }) => {
                self.store
                    .put(&path, PutPayload::from_static(content))
                    .await
                    .map_err(|error| ObjectsError::from_store("write its probe", name, error))?;
                self.store
                    .get(&path)
                    .await
                    .map_err(|error| ObjectsError::from_store("read its probe", name, error))?
            }
            Err(error) => return Err(ObjectsError::from_store("read its probe", name, error)),
        };
        if found.meta.size != content.len() as u64 {
            return Err(ObjectsError::Corrupt);
        }
        let bytes = found
            .bytes()
            .await
            .map_err(|error| ObjectsError::from_store("read its probe", name, error))?;
        if bytes != content {
            return Err(ObjectsError::Corrupt);
        }
        Ok(())
    }

    /// The folder of `file://` storage.
    pub(crate) fn folder(&self) -> Option<Arc<PathBuf>> {
        self.folder.clone()
    }

    fn path(&self, key: &ObjectKey) -> Path {
        self.below_prefix(key.as_str())
    }

    fn below_prefix(&self, key: &str) -> Path {
        // A key is made of safe characters only, so nothing is escaped here.
        if self.prefix.is_empty() {
            Path::from(key)
        } else {
            Path::from(format!("{}/{key}", self.prefix))
        }
    }

    /// `object_store` makes writes durable, deletions it does not.
    async fn sync_after_delete(&self, key: &ObjectKey) -> Result<(), ObjectsError> {
        let Some(folder) = self.folder.clone() else {
            return Ok(());
        };
        let object = folder.join(key.as_str());
        let synced = tokio::task::spawn_blocking(move || {
            // The nearest folder that is left holds the deletion of all below it.
            for ancestor in object.ancestors().skip(1) {
                match sync_folder(ancestor) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound && ancestor != folder.as_path() => {
                    }
                    other => return other.map_err(|source| (folder.as_path().to_owned(), source)),
                }
            }
            Ok(())
        });
        match synced.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err((path, source))) => Err(ObjectsError::Folder { path, source }),
            Err(error) => Err(ObjectsError::from_store(
                "delete an object",
                key.as_str(),
                error.into(),
            )),
        }
    }
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStorage")
            .field("prefix", &self.prefix)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

fn sync_folder(path: &FilePath) -> io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

fn folder_of(url: &Url) -> Result<PathBuf, ObjectsError> {
    let path = url
        .to_file_path()
        .ok()
        .filter(|_| url.query().is_none() && url.fragment().is_none());
    path.ok_or_else(|| settings(vec![not_a_storage_url()]))
}

fn settings(faults: Vec<SettingFault>) -> ObjectsError {
    ObjectsError::Settings { faults }
}

fn not_a_storage_url() -> SettingFault {
    SettingFault::new(
        "DOMICILE_OBJECTS_URL",
        "is no storage URL; write `s3://bucket/prefix` or `file:///path`",
    )
}

/// Few and short: jobs that need storage have a schedule of their own.
pub(crate) fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 4,
        retry_timeout: Duration::from_mins(1),
    }
}
