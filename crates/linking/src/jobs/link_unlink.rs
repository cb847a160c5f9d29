//! Erasure after a link has ended: each room's part of it, then the account's key, if no other link needs it (INV-8).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domicile_kernel::state::LinkStatus;
use domicile_kernel::{LinkId, Timestamp};
use domicile_leases::{Backoff, Finished, Handler, JobError, JobKind, Lease, LeaseError, Policy};
use domicile_store::audit::{Actor, AuditEntry};
use domicile_store::{Conn, StoreError, TxError};
use domicile_vault::VaultError;
use tracing::info;

use super::LINK_UNLINK;
use crate::grants;
use crate::link::Link;
use crate::linking::Linking;
use crate::metrics::METRICS;
use crate::store;
use crate::store::grants::{EndedGrant, SealedGrant};
use crate::unlink::{EndedLink, Erasure, LinkEraser};

/// When to look again at what another transaction was just changing.
const SOON: TimeDelta = TimeDelta::seconds(5);

/// Another link of the account needs its key.
const KEY_KEPT: &str = "key_kept";
/// No other link needed it.
const KEY_DESTROYED: &str = "key_destroyed";

pub(crate) struct LinkUnlink {
    linking: Linking,
    erasers: Vec<Arc<dyn LinkEraser>>,
}

/// What the last step came to.
enum Step {
    Finished(Finished),
    /// What it was based on has changed meanwhile; nothing was done.
    Changed,
}

/// The tokens of a link that has ended, before the account's key goes.
enum Resealed {
    /// Under another key.
    Anew {
        link: LinkId,
        generation: i64,
        tokens: SealedGrant,
    },
    /// They can be opened by nobody any more.
    Erased(LinkId),
}

/// Why the last step is rolled back.
#[derive(Debug, thiserror::Error)]
enum StepError {
    /// Another link needs the key, or a grant is not sealed otherwise yet.
    #[error("the account's key is needed")]
    Needed,
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TxError for StepError {
    fn as_store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error)
            | Self::Lease(LeaseError::Store(error))
            | Self::Vault(VaultError::Store(error)) => Some(error),
            _ => None,
        }
    }
}

impl From<StepError> for JobError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Needed => Self::retry("key_needed", error),
            StepError::Vault(error) => vault_error(error),
            StepError::Lease(error) => error.into(),
            StepError::Store(error) => error.into(),
        }
    }
}

impl LinkUnlink {
    pub(crate) fn new(linking: Linking, erasers: Vec<Arc<dyn LinkEraser>>) -> Self {
        Self { linking, erasers }
    }

    async fn erase(&self, lease: &Lease, link: &Link) -> Result<Finished, JobError> {
        let ended = EndedLink::from(link);
        let mut failure = None;
        let mut not_before: Option<Timestamp> = None;
        // One room's trouble leaves nothing in the others.
        for eraser in &self.erasers {
            match eraser.erase(&ended).await {
                Ok(Erasure::Done) => {}
                Ok(Erasure::NotBefore(at)) => not_before = not_before.max(Some(at)),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        if let Some(at) = not_before {
            return self.again(lease, at).await;
        }
        self.finish(lease, link).await
    }

    /// Destroys the account's key, unless a link needs it, and ends the job.
    async fn finish(&self, lease: &Lease, link: &Link) -> Result<Finished, JobError> {
        let account = &link.zoom_account_id;
        let (needed, grants) = {
            let mut conn = self.linking.parts.db.conn().await?;
            let needed = store::links::any_live_of_account(&mut conn, account).await?;
            (needed, store::grants::of_ended_links(&mut conn, account).await?)
        };
        if needed {
            return Ok(self.finish_erasure(lease, link).await?);
        }
        let now = self.linking.now();
        if let Some(until) = grants.iter().filter_map(|grant| grant.held_until(now)).max() {
            return self.again(lease, until.min(now + SOON)).await;
        }
        let sealed = self.seal_anew(&grants).await?;
        match self.destroy_key(lease, link, &sealed).await? {
            Step::Finished(finished) => Ok(finished),
            Step::Changed => self.again(lease, now + SOON).await,
        }
    }

    /// Tokens that are still to be revoked outlive the account's key, sealed under the region's.
    async fn seal_anew(&self, grants: &[EndedGrant]) -> Result<Vec<Resealed>, JobError> {
        let vault = &self.linking.parts.vault;
        let key = self
            .linking
            .ending_key()
            .await
            .map_err(crate::LinkingError::into_job_error)?;
        let mut sealed = Vec::with_capacity(grants.len());
        for grant in grants {
            let (link, tokens) = (grant.link, &grant.tokens);
            let access = match grants::open_access(vault, link, tokens).await {
                Ok(access) => access,
                Err(VaultError::Destroyed(_)) => {
                    sealed.push(Resealed::Erased(link));
                    continue;
                }
                Err(error) => return Err(vault_error(error)),
            };
            let refresh = grants::open_refresh(vault, link, tokens)
                .await
                .map_err(vault_error)?;
            sealed.push(Resealed::Anew {
                link,
                generation: grant.generation,
                tokens: grants::reseal(&key, link, tokens, &access, refresh.as_ref()).map_err(vault_error)?,
            });
        }
        Ok(sealed)
    }

    /// The key goes first and the look at the links comes after: a link that is being made holds the key, so either it is
    /// seen here, or whoever makes it finds the key destroyed and takes a new one.
    async fn destroy_key(&self, lease: &Lease, link: &Link, sealed: &[Resealed]) -> Result<Step, JobError> {
        let account = &link.zoom_account_id;
        let parts = &self.linking.parts;
        let now = self.linking.now();
        let destroyed = parts
            .db
            .run_tx(
                "destroy_account_key",
                async |conn: &mut Conn| -> Result<Finished, StepError> {
                    parts.vault.destroy(conn, account).await?;
                    let mut left = store::grants::of_ended_links(conn, account).await?;
                    for resealed in sealed {
                        let done = match resealed {
                            Resealed::Erased(link) => Some(*link),
                            Resealed::Anew {
                                link,
                                generation,
                                tokens,
                            } => store::grants::put_anew(conn, *link, *generation, tokens, now)
                                .await?
                                .then_some(*link),
                        };
                        left.retain(|grant| Some(grant.link) != done);
                    }
                    // What is left has changed since it was read, or was not there then.
                    if !left.is_empty() || store::links::any_live_of_account(conn, account).await? {
                        return Err(StepError::Needed);
                    }
                    self.write_finish(conn, lease, link, KEY_DESTROYED).await
                },
            )
            .await;
        match destroyed {
            Ok(finished) => {
                told(link, KEY_DESTROYED);
                Ok(Step::Finished(finished))
            }
            Err(StepError::Needed) => Ok(Step::Changed),
            Err(error) => Err(error.into()),
        }
    }

    async fn finish_erasure(&self, lease: &Lease, link: &Link) -> Result<Finished, StepError> {
        let finished = self
            .linking
            .parts
            .db
            .run_tx(
                "finish_erasure",
                async |conn: &mut Conn| -> Result<Finished, StepError> {
                    self.write_finish(conn, lease, link, KEY_KEPT).await
                },
            )
            .await?;
        told(link, KEY_KEPT);
        Ok(finished)
    }

    async fn write_finish(
        &self,
        conn: &mut Conn,
        lease: &Lease,
        link: &Link,
        how: &'static str,
    ) -> Result<Finished, StepError> {
        AuditEntry::done(Actor::Service, "link.erase")
            .because(how)
            .subject(&link.subject)
            .link(link.id)
            .zoom(&link.zoom_account_id, link.zoom_user_id.as_ref())
            .write(conn, &self.linking.parts.ids)
            .await?;
        Ok(lease.finish(conn, self.linking.now()).await?)
    }

    async fn again(&self, lease: &Lease, at: Timestamp) -> Result<Finished, JobError> {
        let now = self.linking.now();
        Ok(self
            .linking
            .parts
            .db
            .run_tx(
                "continue_erasure",
                async |conn: &mut Conn| -> Result<Finished, LeaseError> {
                    lease.finish_and_requeue(conn, now, at).await
                },
            )
            .await?)
    }

    async fn nothing_to_do(&self, lease: &Lease) -> Result<Finished, JobError> {
        let now = self.linking.now();
        let finish =
            async |conn: &mut Conn| -> Result<Finished, LeaseError> { lease.finish(conn, now).await };
        Ok(self.linking.parts.db.run_tx("finish_erasure", finish).await?)
    }
}

fn vault_error(error: VaultError) -> JobError {
    JobError::new("vault", error.fate(), error)
}

#[async_trait]
impl Handler for LinkUnlink {
    fn kind(&self) -> JobKind {
        LINK_UNLINK
    }

    fn policy(&self) -> Policy {
        Policy {
            concurrency: 2,
            lane_concurrency: None,
            lease: Duration::from_secs(60),
            // Thousands of objects are deleted one by one; an attempt that ends early is continued by the next.
            timeout: Duration::from_mins(30),
            backoff: Backoff {
                first: Duration::from_secs(2),
                longest: Duration::from_mins(15),
            },
            // Erasure is a duty: it is tried for weeks before it waits for an operator.
            max_attempts: 2000,
        }
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        let id = lease
            .key()
            .parse::<LinkId>()
            .map_err(|error| JobError::fail("bad_key", error))?;
        let link = store::links::by_id(&mut *self.linking.parts.db.conn().await?, id).await?;
        match link {
            Some(link) if link.status == LinkStatus::Revoked => self.erase(lease, &link).await,
            _ => self.nothing_to_do(lease).await,
        }
    }
}

/// Counts and logs an erasure.
fn told(link: &Link, how: &'static str) {
    METRICS.erasure(how);
    info!(link.id = %link.id, how, "what was kept of a link that ended is erased");
}
