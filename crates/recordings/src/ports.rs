//! What this room needs of others; the roof plugs it in.

use async_trait::async_trait;
use domicile_kernel::{InboxId, LinkId, Secret};
use domicile_leases::JobError;
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
