//! Erasing what is kept of a link that has ended, and of its Zoom user; and what is old.

use std::time::Duration;

use chrono::TimeDelta;
use domicile_kernel::{BotMessageId, Ids, LinkId};
use domicile_leases::cancel;
use domicile_store::{Conn, Db, StoreError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::jobs::BOT_MESSAGE;
use crate::settings::RETENTION;
use crate::{people, store};

/// So long the app may answer what was said, in a response or by naming the event.
const ANSWERABLE_FOR: TimeDelta = TimeDelta::days(7);
/// So many rows go in one transaction.
const BATCH: i64 = 200;
/// How often old rows are looked for.
const INTERVAL: Duration = Duration::from_hours(1);

/// Erases what the bot said and whom it knew, also in a region that has no bot any more. Cheap to clone.
#[derive(Clone)]
pub struct BotEraser {
    db: Db,
    ids: Ids,
}

impl BotEraser {
    /// Over the region's database.
    pub fn new(db: Db, ids: Ids) -> Self {
        Self { db, ids }
    }

    /// Deletes every message about a link that has ended, those to and for its Zoom user, and what is known of that user,
    /// with the jobs that would send them. A message that is on its way when its job is taken away may still arrive at
    /// Zoom; what is in Zoom's chats stays there. It may be called again whenever it failed: no message is written for a
    /// link that has ended.
    pub async fn erase(&self, link: LinkId) -> Result<(), StoreError> {
        let db = &self.db;
        let mut erased = 0;
        loop {
            let ids = store::of_link(&mut *db.conn().await?, link, BATCH).await?;
            if ids.is_empty() {
                break;
            }
            erased += self.erase_batch(&ids).await?;
        }
        let of_zoom = store::ended_link(&mut *db.conn().await?, link).await?;
        if let Some((account, Some(user))) = of_zoom {
            let seen = store::jid_of(&mut *db.conn().await?, &account, &user).await?;
            let jids: Vec<String> = seen.into_iter().chain([people::derived_jid(&user)]).collect();
            loop {
                let ids = store::of_user(&mut *db.conn().await?, &account, &jids, BATCH).await?;
                if ids.is_empty() {
                    break;
                }
                erased += self.erase_batch(&ids).await?;
            }
            store::forget_person(&mut *db.conn().await?, &account, &user).await?;
        }
        info!(link.id = %link, erased, "messages of the bot for a link that ended were erased");
        Ok(())
    }

    async fn erase_batch(&self, ids: &[BotMessageId]) -> Result<usize, StoreError> {
        self.db
            .run_tx(
                "erase_bot_messages",
                async |conn: &mut Conn| -> Result<usize, StoreError> {
                    for id in ids {
                        cancel(conn, BOT_MESSAGE, &id.to_string()).await?;
                    }
                    store::delete(conn, ids).await
                },
            )
            .await
    }

    /// Deletes messages that did not change for 30 days, forgets people who were silent for so long, and what was said
    /// a week ago cannot be answered any more, until
    /// `stop` is cancelled. Run it beside the handlers.
    pub async fn tidy(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.delete_old().await {
                warn!(%error, "old messages of the bot could not be deleted");
            }
            let _ = timeout(INTERVAL, stop.cancelled()).await;
        }
    }

    /// Does so once, and says how many rows went.
    pub async fn delete_old(&self) -> Result<usize, StoreError> {
        let retention = TimeDelta::from_std(RETENTION).unwrap_or(TimeDelta::MAX);
        let Some(before) = self.ids.clock().now().checked_sub_signed(retention) else {
            return Ok(0);
        };
        let answerable = self.ids.clock().now() - ANSWERABLE_FOR;
        let mut deleted = 0;
        loop {
            let batch = self
                .db
                .run_tx(
                    "delete_old_bot_messages",
                    async |conn: &mut Conn| -> Result<usize, StoreError> {
                        Ok(store::delete_old(conn, before, BATCH).await?
                            + store::forget_old_people(conn, before, BATCH).await?
                            + store::delete_old_turns(conn, answerable, BATCH).await?)
                    },
                )
                .await?;
            deleted += batch;
            if batch == 0 {
                return Ok(deleted);
            }
        }
    }
}
