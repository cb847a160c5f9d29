//! What this room needs of others; the roof plugs it in.

use async_trait::async_trait;
use domicile_kernel::{InboxId, LinkId, RecordingId, Secret};
use domicile_leases::JobError;
use domicile_store::{Conn, StoreError};
use domicile_zoom::host::ApiBase;

/// Opens what Zoom sent, as the inbox keeps it.
#[async_trait]
pub trait InboxBodies: Send + Sync {
    /// The verified raw body of an inbox row.
    async fn body(&self, inbox_id: InboxId) -> Result<Secret<Vec<u8>>, JobError>;
}

/// Gives access tokens that work, refreshed where that is needed.
#[async_trait]
pub trait AccessTokens: Send + Sync {
    /// The access token of a link's grant, and the base of the API that it is for. The error's class is stored and
    /// counted as that of the job that asked.
    async fn access_token(&self, link: LinkId) -> Result<(Secret<String>, ApiBase), JobError>;
}

/// Hears how the fetching of recordings goes on.
#[async_trait]
pub trait Progress: Send + Sync {
    /// Files of a recording became known or were stored, or its status changed: told in the transaction that did it.
    async fn changed(&self, conn: &mut Conn, recording: RecordingId) -> Result<(), StoreError>;
}

/// Nobody listens.
pub struct NoProgress;

#[async_trait]
impl Progress for NoProgress {
    async fn changed(&self, _: &mut Conn, _: RecordingId) -> Result<(), StoreError> {
        Ok(())
    }
}
