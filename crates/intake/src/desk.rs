//! The inbox as its operators see it: what is there, what is in quarantine, and what shall be tried again.

use std::str::FromStr;

use domicile_kernel::{Ids, InboxId, Secret, Timestamp, ZoomAccountId};
use domicile_store::audit::{Actor, AuditEntry};
use domicile_store::{Conn, Db, StoreError};
use domicile_vault::Vault;
use domicile_zoom::event::Envelope;
use serde::Serialize;
use tracing::info;

use crate::endpoint::Endpoint;
use crate::error::IntakeError;
use crate::intake::open_body;
use crate::reason::QuarantineReason;
use crate::store;

/// How many rows one transaction of a replay changes.
const BATCH: i64 = 500;

/// The operators' view of the inbox.
#[derive(Clone)]
pub struct InboxDesk {
    db: Db,
    ids: Ids,
    vault: Vault,
}

/// Which rows are meant; every criterion that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// One of these; none given: any.
    pub ids: Vec<InboxId>,
    /// In this state.
    pub status: Option<RowStatus>,
    /// With this reason.
    pub reason: Option<QuarantineReason>,
    /// Taken in here.
    pub endpoint: Option<Endpoint>,
    /// Exactly this event.
    pub event_type: Option<String>,
    /// Exactly this account.
    pub zoom_account_id: Option<ZoomAccountId>,
    /// Received at this time or later.
    pub received_from: Option<Timestamp>,
    /// Received before this time.
    pub received_before: Option<Timestamp>,
}

/// The state of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowStatus {
    /// Waits for its handlers.
    Pending,
    /// Its handlers have taken it.
    Dispatched,
    /// Kept with a reason.
    Quarantined,
}

impl RowStatus {
    /// The spelling in `inbox.status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => store::PENDING,
            Self::Dispatched => store::DISPATCHED,
            Self::Quarantined => store::QUARANTINED,
        }
    }
}

impl FromStr for RowStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Pending, Self::Dispatched, Self::Quarantined]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| "a status is pending, dispatched or quarantined".to_owned())
    }
}

/// One row without its body.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InboxEntry {
    /// Domicile's own id of the delivery.
    pub id: InboxId,
    /// `events` or `bot`.
    pub endpoint: String,
    /// `pending`, `dispatched` or `quarantined`.
    pub status: String,
    /// Why it is in quarantine, or the class of its last failure.
    pub reason: Option<String>,
    /// Zoom's event name.
    pub event_type: Option<String>,
    /// The account that it names.
    pub zoom_account_id: Option<String>,
    /// The user whom it names.
    pub zoom_user_id: Option<String>,
    /// The Marketplace app that it names.
    pub zoom_client_id: Option<String>,
    /// `x-zm-request-id`.
    pub zoom_request_id: Option<String>,
    /// The trace in which it arrived.
    pub traceparent: Option<String>,
    /// When it happened, as Zoom says.
    pub event_at: Option<Timestamp>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The size of the raw body.
    pub body_size_bytes: i32,
    /// How many dispatches of it failed.
    pub attempts: i16,
    /// Not dispatched before this.
    pub due_at: Timestamp,
    /// When it was dispatched or quarantined.
    pub finished_at: Option<Timestamp>,
}

/// When Zoom was last heard of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// `events` or `bot`.
    pub endpoint: String,
    /// `challenge` or `event`.
    pub kind: String,
    /// The account of the events; nothing for challenges and for events that name none.
    pub zoom_account_id: Option<String>,
    /// The latest time.
    pub last_at: Timestamp,
}

/// How the inbox does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InboxStatus {
    /// Rows that wait for their handlers.
    pub pending: i64,
    /// When the oldest of them arrived.
    pub oldest_pending_at: Option<Timestamp>,
    /// Rows in quarantine by reason.
    pub quarantined: Vec<(String, i64)>,
    /// When Zoom was last heard of.
    pub silence: Vec<Silence>,
}

/// What a replay came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Replayed {
    /// Rows that wait for their handlers again.
    pub rows: u64,
    /// Rows whose bodies still cannot be read as events; they were left as they were.
    pub unreadable: u64,
}

impl InboxDesk {
    /// The inbox in this database.
    pub fn new(db: Db, ids: Ids, vault: Vault) -> Self {
        Self { db, ids, vault }
    }

    /// The newest rows of a selection, at most so many, after this one.
    pub async fn list(
        &self,
        selection: &Selection,
        after: Option<InboxId>,
        limit: i64,
    ) -> Result<Vec<InboxEntry>, StoreError> {
        store::desk::list(&mut *self.db.conn().await?, selection, after, limit).await
    }

    /// How many rows of a selection wait for nobody: those that [`InboxDesk::replay`] means.
    pub async fn count_finished(&self, selection: &Selection) -> Result<u64, StoreError> {
        store::desk::count_finished(&mut *self.db.conn().await?, selection).await
    }

    /// One row, if it is there.
    pub async fn show(&self, id: InboxId) -> Result<Option<InboxEntry>, StoreError> {
        let selection = Selection {
            ids: vec![id],
            ..Selection::default()
        };
        Ok(self.list(&selection, None, 1).await?.pop())
    }

    /// The raw body of a row. It holds personal data and secrets of Zoom's.
    pub async fn body(&self, id: InboxId) -> Result<Secret<Vec<u8>>, IntakeError> {
        let row = store::body(&mut *self.db.conn().await?, id).await?;
        open_body(&self.vault, id, row).await
    }

    /// Lets the rows of a selection that wait for nobody be dispatched again, oldest first. Handlers take the same event any
    /// number of times (INV-5). What could not be read when it was kept is read anew.
    pub async fn replay(&self, selection: &Selection) -> Result<Replayed, IntakeError> {
        let mut replayed = Replayed::default();
        let mut after = None;
        loop {
            let mut conn = self.db.conn().await?;
            let rows = store::desk::finished(&mut conn, selection, after, BATCH).await?;
            drop(conn);
            let Some((last, _)) = rows.last() else {
                info!(
                    rows = replayed.rows,
                    unreadable = replayed.unreadable,
                    "rows of the inbox were replayed"
                );
                return Ok(replayed);
            };
            after = Some(*last);
            let mut ids = Vec::with_capacity(rows.len());
            for (id, named) in rows {
                if named || self.read_anew(id).await? {
                    ids.push(id);
                } else {
                    replayed.unreadable += 1;
                }
            }
            let now = self.ids.clock().now();
            let changed = self.db.run_tx(
                "replay_inbox",
                async |conn: &mut Conn| -> Result<usize, StoreError> {
                    let rows = store::desk::replay(conn, &ids, now).await?;
                    self.audit(conn, "inbox.replay", rows).await?;
                    Ok(rows)
                },
            );
            replayed.rows += changed.await? as u64;
        }
    }

    /// Takes rows that wait away from their handlers, and says how many it were.
    pub async fn quarantine(&self, ids: &[InboxId]) -> Result<usize, StoreError> {
        let now = self.ids.clock().now();
        self.db
            .run_tx(
                "set_aside",
                async |conn: &mut Conn| -> Result<usize, StoreError> {
                    let rows = store::desk::set_aside(conn, ids, now).await?;
                    self.audit(conn, "inbox.quarantine", rows).await?;
                    Ok(rows)
                },
            )
            .await
    }

    async fn audit(&self, conn: &mut Conn, action: &'static str, rows: usize) -> Result<(), StoreError> {
        if rows == 0 {
            return Ok(());
        }
        AuditEntry::done(Actor::Operator, action)
            .write(conn, &self.ids)
            .await
    }

    /// How the inbox does.
    pub async fn status(&self) -> Result<InboxStatus, StoreError> {
        let mut conn = self.db.conn().await?;
        let (pending, oldest_pending_at) = store::pending_statistics(&mut conn).await?;
        Ok(InboxStatus {
            pending,
            oldest_pending_at,
            quarantined: store::quarantine_statistics(&mut conn).await?,
            silence: store::desk::sightings(&mut conn).await?,
        })
    }

    /// Reads the envelope of a row that has none, and says whether there is one now.
    async fn read_anew(&self, id: InboxId) -> Result<bool, IntakeError> {
        let body = self.body(id).await?;
        let Ok(envelope) = Envelope::parse(body.expose()) else {
            return Ok(false);
        };
        store::desk::name(&mut *self.db.conn().await?, id, &envelope).await?;
        Ok(true)
    }
}
