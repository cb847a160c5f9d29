//! One download, from Zoom straight into storage: hashed and checked on the way, never held in memory.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use domicile_egress::{Client, GetFollowing, Response, retry_after};
use domicile_kernel::{Clock, Secret};
use domicile_objects::{ObjectKey, ObjectStorage, StoredObject, Upload};
use domicile_zoom::host::ZoomHosts;
use http::{StatusCode, header};
use url::Url;

use crate::error::{FetchError, FoundSize};
use crate::format::Format;
use crate::inspect::{self, HEAD_BYTES, Rejection};

/// Zoom redirects once or twice.
const MAX_HOPS: u8 = 5;

/// Downloads into storage.
#[derive(Clone)]
pub(crate) struct Downloader {
    pub(crate) client: Client,
    pub(crate) hosts: Arc<ZoomHosts>,
    pub(crate) storage: ObjectStorage,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What to fetch, and what it must be.
pub(crate) struct Wanted<'a> {
    pub(crate) url: &'a Secret<String>,
    pub(crate) token: &'a Secret<String>,
    pub(crate) announced: Option<u64>,
    pub(crate) extension: &'a str,
    pub(crate) key: &'a ObjectKey,
}

impl Downloader {
    /// Fetches the file. Under the key stands the whole verified file after this, or what stood there before.
    pub(crate) async fn download(&self, wanted: &Wanted<'_>) -> Result<StoredObject, FetchError> {
        let mut response = self.open(wanted).await?;
        let checks = Checks {
            format: Format::of_extension(wanted.extension),
            extension: wanted.extension,
            announced: wanted.announced,
        };
        checks.answer(&response)?;
        let head = read_head(&mut response).await?;
        checks.head(&head)?;
        let mut upload = self.storage.begin(wanted.key);
        match pour(head, response, &mut upload, &checks).await {
            Ok(()) => Ok(upload.finish().await?),
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    /// Asks until an answer with status 200 comes that claims to be a file.
    async fn open(&self, wanted: &Wanted<'_>) -> Result<Response, FetchError> {
        let url = Url::parse(wanted.url.expose()).map_err(|_| FetchError::NotAUrl)?;
        // The fence is asked first, so that its refusal is counted and audited like every other.
        self.client
            .fence()
            .check_foreign(&url)
            .map_err(|refused| FetchError::Egress(Box::new(refused).into()))?;
        if !self.hosts.allows(&url) {
            return Err(FetchError::HostNotAllowed);
        }
        let response = self
            .client
            .get_following(GetFollowing {
                url,
                bearer: Some(wanted.token),
                bearer_hosts: self.hosts.rules(),
                max_hops: MAX_HOPS,
            })
            .await
            .map_err(FetchError::Egress)?;
        match response.status() {
            StatusCode::OK => Ok(response),
            status => Err(FetchError::Status {
                status,
                retry_after: retry_after(response.headers(), &self.clock.now()),
            }),
        }
    }
}

/// What one answer must be.
struct Checks<'a> {
    format: Format,
    extension: &'a str,
    announced: Option<u64>,
}

impl Checks<'_> {
    /// Judges the header fields, before a byte of the body is read.
    fn answer(&self, response: &Response) -> Result<(), FetchError> {
        let field = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        if inspect::is_html_type(field(header::CONTENT_TYPE)) {
            return Err(FetchError::Html);
        }
        if !matches!(
            field(header::CONTENT_ENCODING).to_ascii_lowercase().as_str(),
            "" | "identity"
        ) {
            return Err(FetchError::Encoded);
        }
        match response.content_length() {
            Some(length) => self.size(length, true),
            None => Ok(()),
        }
    }

    fn head(&self, head: &[u8]) -> Result<(), FetchError> {
        inspect::check_head(self.format, head, self.announced)
            .map_err(|rejection| self.rejected(rejection, FoundSize::Exactly(0)))
    }

    fn size(&self, counted: u64, complete: bool) -> Result<(), FetchError> {
        let found = if complete {
            FoundSize::Exactly(counted)
        } else {
            FoundSize::More
        };
        inspect::check_size(self.announced, counted, complete)
            .map_err(|rejection| self.rejected(rejection, found))
    }

    fn rejected(&self, rejection: Rejection, found: FoundSize) -> FetchError {
        FetchError::rejected(rejection, self.extension, self.announced, found)
    }
}

/// Reads until there is enough to judge, or the body ends.
async fn read_head(response: &mut Response) -> Result<Bytes, FetchError> {
    let mut head = BytesMut::new();
    while head.len() < HEAD_BYTES {
        match response.chunk().await.map_err(FetchError::Egress)? {
            Some(chunk) => head.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok(head.freeze())
}

async fn pour(
    head: Bytes,
    mut response: Response,
    upload: &mut Upload,
    checks: &Checks<'_>,
) -> Result<(), FetchError> {
    let mut next = Some(head);
    while let Some(chunk) = next {
        let counted = upload.size_bytes() + chunk.len() as u64;
        checks.size(counted, false)?;
        upload.write(chunk).await?;
        next = response.chunk().await.map_err(FetchError::Egress)?;
    }
    checks.size(upload.size_bytes(), true)
}
