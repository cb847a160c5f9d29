//! Keeping: the one place that writes new rows of the inbox.

use domicile_kernel::{InboxId, Timestamp, ZoomAccountId, ZoomUserId};
use domicile_store::{Conn, Db, StoreError};

use crate::endpoint::Endpoint;
use crate::reason::QuarantineReason;
use crate::store;

/// A row that is ready to be written.
pub(crate) struct NewRow {
    pub(crate) id: InboxId,
    pub(crate) endpoint: Endpoint,
    pub(crate) digest: [u8; 32],
    /// Nothing: it waits for its handlers.
    pub(crate) quarantined: Option<QuarantineReason>,
    pub(crate) event_type: Option<String>,
    pub(crate) zoom_account_id: Option<ZoomAccountId>,
    pub(crate) zoom_user_id: Option<ZoomUserId>,
    pub(crate) zoom_client_id: Option<String>,
    pub(crate) zoom_request_id: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) event_at: Option<Timestamp>,
    pub(crate) received_at: Timestamp,
    pub(crate) body_sealed: Vec<u8>,
    pub(crate) body_size_bytes: i32,
}

/// What became of a row that was to be kept. Either way its body is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is new.
    New,
    /// The same body was kept before at the same endpoint; nothing was changed.
    Duplicate,
}

impl Kept {
    /// The spelling in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "kept",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Commits rows. When [`InboxWriter::write`] returns, the row is on disk; how many requests share a commit is its affair.
#[derive(Clone)]
pub(crate) struct InboxWriter {
    db: Db,
}

impl InboxWriter {
    pub(crate) fn new(db: Db) -> Self {
        Self { db }
    }

    /// Keeps one row. After an error, or when the future is dropped, it is not known whether the row was kept.
    pub(crate) async fn write(&self, row: NewRow) -> Result<Kept, StoreError> {
        self.db
            .run_tx("keep_in_inbox", async |conn: &mut Conn| {
                store::insert(conn, &row).await
            })
            .await
    }
}
