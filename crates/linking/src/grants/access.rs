//! Tokens for whoever calls Zoom: the present one while it is good, else the next.

use std::time::Duration;

use chrono::TimeDelta;
use domicile_kernel::state::LinkStatus;
use domicile_kernel::{LinkId, Secret, Timestamp};
use domicile_leases::{NewJob, enqueue};
use domicile_store::{Conn, StoreError};
use domicile_zoom::host::ApiBase;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::info;

use super::refresh::{Cause, Refreshed};
use crate::error::LinkingError;
use crate::grants;
use crate::jobs::GRANT_REFRESH;
use crate::link::Link;
use crate::linking::Linking;
use crate::store;
use crate::store::grants::Grant;

/// How long a caller waits for another's refresh.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks whether that has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What opens Zoom's API for a link, and where.
pub struct AccessToken {
    /// Goes into `Authorization: Bearer`.
    pub token: Secret<String>,
    /// The base of the API that it is for.
    pub base: ApiBase,
    /// Counts the link's tokens. Hand it to [`Linking::renew_access_token`] when Zoom refuses this one.
    pub generation: i64,
}

/// Why a token is of no use to its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stale {
    /// It is at its end, or nearly.
    Ending,
    /// Zoom's API refused it.
    Refused { generation: i64 },
}

impl Stale {
    fn is(self, grant: &Grant, now: Timestamp) -> bool {
        match self {
            Self::Ending => grant.times().is_ending(now),
            Self::Refused { generation } => grant.generation == generation || grant.times().is_ending(now),
        }
    }
}

impl Linking {
    /// A working access token of a link. One that is about to run out is renewed first, by this call or by whoever is
    /// about it already.
    ///
    /// [`LinkingError::TokenUnavailable`] says that Zoom gives none just now, [`LinkingError::NeedsReauthorization`] that it
    /// gives none any more.
    pub async fn access_token(&self, link: LinkId) -> Result<AccessToken, LinkingError> {
        let grant = self.usable_grant(link, Stale::Ending).await?;
        self.note_use(link, &grant).await?;
        self.open(link, &grant).await
    }

    /// The token after the one of this generation, which Zoom's API refused. If somebody has renewed it already, Zoom is not
    /// asked again. A refusal that stays is Zoom's own: its token endpoint says whether the grant has ended.
    pub async fn renew_access_token(
        &self,
        link: LinkId,
        refused_generation: i64,
    ) -> Result<AccessToken, LinkingError> {
        let stale = Stale::Refused {
            generation: refused_generation,
        };
        let grant = self.usable_grant(link, stale).await?;
        self.note_use(link, &grant).await?;
        self.open(link, &grant).await
    }

    async fn usable_grant(&self, link: LinkId, stale: Stale) -> Result<Grant, LinkingError> {
        let deadline = Instant::now() + PATIENCE;
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let (live, grant) = self.live_grant(link).await?;
            let now = self.now();
            if !stale.is(&grant, now) {
                return Ok(grant);
            }
            let refreshed = self.refresh(&live, &grant, Cause::Demand).await;
            let failure = match refreshed {
                Ok(Refreshed::Renewed(renewed)) => return Ok(renewed),
                Ok(Refreshed::Ended(reason)) => return Err(LinkingError::NeedsReauthorization(Some(reason))),
                Ok(Refreshed::Overtaken | Refreshed::Held { .. }) if Instant::now() < deadline => continue,
                Ok(Refreshed::Overtaken) => unavailable(None, Busy),
                Ok(Refreshed::Held { until }) => unavailable(Some(until - now), Busy),
                Ok(Refreshed::NotBefore(at)) => unavailable(Some(at - now), Waiting),
                Err(error) => error,
            };
            // A token that lives a little longer is better than none.
            let still_lives = grant.tokens.access_expires_at > self.now();
            if stale == Stale::Ending && still_lives && failure.fate().is_retry() {
                info!(link.id = %link, error = %failure, "the token could not be renewed; the last of its life is used");
                return Ok(grant);
            }
            return Err(failure);
        }
    }

    /// The grant of a link that works.
    async fn live_grant(&self, id: LinkId) -> Result<(Link, Grant), LinkingError> {
        let mut conn = self.parts.db.conn().await?;
        let link = store::links::by_id(&mut conn, id)
            .await?
            .ok_or(LinkingError::UnknownLink)?;
        match link.status {
            LinkStatus::Active => {}
            LinkStatus::NeedsReauthorization => {
                return Err(LinkingError::NeedsReauthorization(link.reauthorization_reason));
            }
            LinkStatus::Revoked => return Err(LinkingError::LinkRevoked),
        }
        let grant = store::grants::get(&mut conn, id)
            .await?
            .ok_or(StoreError::NotFound)?;
        Ok((link, grant))
    }

    /// Writes the first use of a token, and has it renewed ahead of its end. Further uses of it cost nothing.
    async fn note_use(&self, link: LinkId, grant: &Grant) -> Result<(), LinkingError> {
        if grant.times().in_use() {
            return Ok(());
        }
        let parts = &self.parts;
        let now = self.now();
        let mut times = grant.times();
        times.last_used_at = Some(now);
        let due_at = times.next(parts.ids.rng().as_ref());
        parts
            .db
            .run_tx(
                "note_grant_use",
                async |conn: &mut Conn| -> Result<(), LinkingError> {
                    if store::grants::mark_used(conn, link, grant.generation, now).await? {
                        self.request_refresh(conn, link, due_at).await?;
                    }
                    Ok(())
                },
            )
            .await
    }

    /// Asks for the job that refreshes a grant, in the caller's transaction.
    pub(crate) async fn request_refresh(
        &self,
        conn: &mut Conn,
        link: LinkId,
        due_at: Timestamp,
    ) -> Result<(), LinkingError> {
        let key = link.to_string();
        let job = NewJob {
            kind: GRANT_REFRESH,
            key: &key,
            lane: None,
            due_at,
            traceparent: None,
        };
        Ok(enqueue(conn, &self.parts.ids, job).await?)
    }

    async fn open(&self, link: LinkId, grant: &Grant) -> Result<AccessToken, LinkingError> {
        let parts = &self.parts;
        Ok(AccessToken {
            token: grants::open_access(&parts.vault, link, &grant.tokens).await?,
            base: grants::stored_base(parts.api.hosts(), &grant.tokens)?,
            generation: grant.generation,
        })
    }
}

fn unavailable(
    wait: Option<TimeDelta>,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> LinkingError {
    LinkingError::TokenUnavailable {
        retry_after: wait.and_then(|wait| wait.to_std().ok()),
        source: source.into(),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("another refresh of the grant has not ended yet")]
struct Busy;

#[derive(Debug, thiserror::Error)]
#[error("the last refresh of the grant failed, and Zoom is not asked again yet")]
struct Waiting;
