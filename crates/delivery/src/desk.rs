//! Events for the app as their operators see them: what was delivered, what was not and why, and what shall be sent again.
//! What an event says stays sealed.

use std::collections::BTreeMap;

use domicile_kernel::{EventId, Ids, MailboxId, Subject, Timestamp};
use domicile_leases::{NewJob, desk::hasten, enqueue};
use domicile_store::audit::{Actor, AuditEntry};
use domicile_store::{Conn, Db, StoreError};
use serde::Serialize;

use crate::jobs::KIND;
use crate::store;

/// How many events one transaction of a redelivery changes.
const BATCH: i64 = 500;

/// What a mailbox is named after follows from what is in it: a link, or a connect session that came to none. The mailbox of
/// what is said to the bot is named after nothing that the audit knows.
fn audited(actor: &Actor, mailbox: MailboxId, event_type: &str) -> AuditEntry {
    let entry = AuditEntry::done(actor.clone(), "events.redrive");
    let id = mailbox.as_uuid();
    match event_type {
        "link.refused" => entry.connect_session(id.into()),
        said if said.starts_with("bot.") => entry,
        _ => entry.link(id.into()),
    }
}

/// The operators' view of events. Cheap to clone.
#[derive(Clone)]
pub struct EventsDesk {
    db: Db,
    ids: Ids,
}

/// Which events are meant; every criterion that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct EventSelection {
    /// One of these; none given: any.
    pub ids: Vec<EventId>,
    /// Whether the app has answered 2xx.
    pub delivered: Option<bool>,
    /// Whom they are about.
    pub subject: Option<Subject>,
    /// Whose queue they are in: a link's id.
    pub mailbox: Option<MailboxId>,
    /// Exactly this type, such as `recording.stored`.
    pub event_type: Option<String>,
    /// Became true at this time or later.
    pub from: Option<Timestamp>,
    /// Became true before this time.
    pub before: Option<Timestamp>,
}

/// An event without what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventEntry {
    /// Its id, also its `webhook-id`.
    pub id: EventId,
    /// The order of writing, and the cursor of the list.
    pub sequence: i64,
    /// The queue that it is in: a link's id, or one made of the Zoom user who speaks to the bot.
    pub mailbox: MailboxId,
    /// Such as `recording.stored`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Whom it is about; none for what an unlinked Zoom user said to the bot.
    pub subject: Option<String>,
    /// When it became true.
    pub occurred_at: Timestamp,
    /// `pending` or `delivered`.
    pub status: String,
    /// How often it was posted.
    pub attempts: i32,
    /// When the app answered 2xx.
    pub delivered_at: Option<Timestamp>,
}

/// One post, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptEntry {
    /// Counts from 1.
    pub attempt: i32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long the answer took.
    pub duration_ms: i32,
    /// The status of the answer.
    pub status_code: Option<i16>,
    /// Why there was none.
    pub error_class: Option<String>,
}

impl EventsDesk {
    /// The events in this database.
    pub fn new(db: Db, ids: Ids) -> Self {
        Self { db, ids }
    }

    /// The newest events of a selection, at most so many, below this sequence.
    pub async fn list(
        &self,
        selection: &EventSelection,
        below: Option<i64>,
        limit: i64,
    ) -> Result<Vec<EventEntry>, StoreError> {
        store::desk::list(&mut *self.db.conn().await?, selection, below, limit).await
    }

    /// One event with all its posts.
    pub async fn show(&self, id: EventId) -> Result<Option<(EventEntry, Vec<AttemptEntry>)>, StoreError> {
        let selection = EventSelection {
            ids: vec![id],
            ..EventSelection::default()
        };
        let mut conn = self.db.conn().await?;
        let Some(event) = store::desk::list(&mut conn, &selection, None, 1).await?.pop() else {
            return Ok(None);
        };
        let attempts = store::desk::attempts(&mut conn, id).await?;
        Ok(Some((event, attempts)))
    }

    /// How many events a selection has.
    pub async fn count(&self, selection: &EventSelection) -> Result<i64, StoreError> {
        store::desk::count(&mut *self.db.conn().await?, selection).await
    }

    /// Lets the events of a selection be delivered, also those that were delivered before, in the order in which they became
    /// true. What waits is tried at once. Ids stay, so the app tells a second delivery.
    pub async fn redrive(&self, selection: &EventSelection, actor: &Actor) -> Result<usize, StoreError> {
        let (mut after, mut count) = (0, 0);
        loop {
            let (last, changed) = self
                .db
                .run_tx(
                    "redrive_events",
                    async |conn: &mut Conn| -> Result<(Option<i64>, usize), StoreError> {
                        self.redrive_batch(conn, selection, after, actor).await
                    },
                )
                .await?;
            count += changed;
            match last {
                Some(last) => after = last,
                None => return Ok(count),
            }
        }
    }

    async fn redrive_batch(
        &self,
        conn: &mut Conn,
        selection: &EventSelection,
        after: i64,
        actor: &Actor,
    ) -> Result<(Option<i64>, usize), StoreError> {
        let now = self.ids.clock().now();
        let batch = store::desk::again(conn, selection, after, BATCH).await?;
        let Some(last) = batch.iter().map(|(sequence, ..)| *sequence).max() else {
            return Ok((None, 0));
        };
        let mut mailboxes = BTreeMap::new();
        for (_, mailbox, event_type) in &batch {
            let known = mailboxes.entry(*mailbox).or_insert(event_type.as_str());
            // A link's mailbox also tells of messages of the bot.
            if known.starts_with("bot.") {
                *known = event_type.as_str();
            }
        }
        for (mailbox, event_type) in mailboxes {
            let key = mailbox.to_string();
            let job = NewJob {
                kind: KIND,
                key: &key,
                lane: None,
                due_at: now,
                traceparent: None,
            };
            enqueue(conn, &self.ids, job).await?;
            hasten(conn, KIND.0, &key, now).await?;
            audited(actor, mailbox, event_type).write(conn, &self.ids).await?;
        }
        Ok((Some(last), batch.len()))
    }
}
