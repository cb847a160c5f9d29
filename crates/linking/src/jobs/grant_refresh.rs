//! Token rotation. The job's lease makes it the only refresher of its grant; the grant's generation makes a rotation that
//! was overtaken by a new authorization void.

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domicile_kernel::state::LinkStatus;
use domicile_kernel::{Fate, LinkId, Secret};
use domicile_leases::{Backoff, Finished, Handler, JobError, JobKind, Lease, LeaseError, Policy};
use domicile_store::Conn;
use domicile_vault::KeyScope;
use domicile_zoom::oauth::{OAuthError, TokenSet};
use tracing::{info, warn};

use super::{GRANT_REFRESH, KEEP_ALIVE};
use crate::error::LinkingError;
use crate::grants;
use crate::link::Link;
use crate::linking::Linking;
use crate::metrics::METRICS;
use crate::store;
use crate::store::grants::SealedGrant;

/// A token with more life than this is not renewed for its own sake.
const AHEAD: TimeDelta = TimeDelta::minutes(10);

pub(crate) struct GrantRefresh {
    linking: Linking,
}

impl GrantRefresh {
    pub(crate) fn new(linking: Linking) -> Self {
        Self { linking }
    }

    async fn refresh(&self, lease: &Lease, id: LinkId) -> Result<Finished, JobError> {
        let parts = &self.linking.parts;
        let (link, grant) = {
            let mut conn = parts.db.conn().await?;
            let link = store::links::by_id(&mut conn, id).await?;
            (link, store::grants::get(&mut conn, id).await?)
        };
        let (Some(link), Some(grant)) = (link, grant) else {
            return self.leave(lease).await;
        };
        if link.status != LinkStatus::Active {
            return self.leave(lease).await;
        }
        let fresh = grant.access_expires_at - self.linking.now() > AHEAD;
        // The first run after a new authorization finds a fresh token: only the keep-alive is due then.
        if fresh && lease.attempt() == 1 {
            return self.again_in(lease, KEEP_ALIVE).await;
        }
        let Some(token) = grants::open_refresh(&parts.vault, id, &grant)
            .await
            .map_err(vault_error)?
        else {
            return self.lose(lease, &link, &grant).await;
        };
        self.rotate(lease, &link, &grant, &token).await
    }

    async fn rotate(
        &self,
        lease: &Lease,
        link: &Link,
        grant: &SealedGrant,
        token: &Secret<String>,
    ) -> Result<Finished, JobError> {
        match self.linking.parts.oauth.refresh(token).await {
            Ok(tokens) => self.keep(lease, link, grant, &tokens).await,
            Err(error) if error.ends_grant() => {
                METRICS.refresh("ended");
                info!(link.id = %link.id, error = %error, "Zoom ended the grant");
                self.lose(lease, link, grant).await
            }
            Err(error) => {
                METRICS.refresh(if error.may_have_rotated() {
                    "unsure"
                } else {
                    "failed"
                });
                Err(refresh_error(error))
            }
        }
    }

    async fn keep(
        &self,
        lease: &Lease,
        link: &Link,
        grant: &SealedGrant,
        tokens: &TokenSet,
    ) -> Result<Finished, JobError> {
        let parts = &self.linking.parts;
        let key = parts.vault.key(&account_scope(link)).await.map_err(vault_error)?;
        let now = self.linking.now();
        // The grant has rotated, so it is kept whatever the answer names; a host that is not allowed changes nothing.
        let base = match grants::api_base(parts.api.hosts(), tokens, &parts.default_api_base) {
            Ok(base) => base,
            Err(error) => {
                warn!(link.id = %link.id, %error, "a refresh named an API host that is not allowed; the former one stays");
                grants::stored_base(parts.api.hosts(), grant)
                    .unwrap_or_else(|_| parts.default_api_base.clone())
            }
        };
        let mut sealed = grants::seal(&key, link.id, tokens, &base, now).map_err(vault_error)?;
        // RFC 6749 section 6: no new refresh token means that the old one stays.
        if tokens.refresh_token.is_none() {
            sealed
                .refresh_token_sealed
                .clone_from(&grant.refresh_token_sealed);
        }
        let finished = parts
            .db
            .run_tx(
                "rotate_grant",
                async |conn: &mut Conn| -> Result<Finished, LeaseError> {
                    if !store::grants::rotate(conn, link.id, grant.generation, &sealed, now).await? {
                        warn!(link.id = %link.id, "a new authorization overtook the refresh");
                    }
                    lease.finish_and_requeue(conn, now, now + KEEP_ALIVE).await
                },
            )
            .await?;
        METRICS.refresh("refreshed");
        Ok(finished)
    }

    /// The grant is at an end, unless another authorization has renewed it meanwhile.
    async fn lose(&self, lease: &Lease, link: &Link, grant: &SealedGrant) -> Result<Finished, JobError> {
        let parts = &self.linking.parts;
        let key = parts.vault.key(&account_scope(link)).await.map_err(vault_error)?;
        let now = self.linking.now();
        parts
            .db
            .run_tx(
                "lose_grant",
                async |conn: &mut Conn| -> Result<Finished, LinkingError> {
                    let locked = store::links::lock(conn, link.id).await?;
                    let current = store::grants::get(conn, link.id).await?;
                    let renewed = current.is_some_and(|current| current.generation != grant.generation);
                    match locked {
                        Some(locked) if !renewed && locked.status == LinkStatus::Active => {
                            let lost = locked.lose_grant(now)?;
                            store::links::update(conn, &lost).await?;
                            let event = self
                                .linking
                                .event(&key, "link.needs_reauthorization", &lost, now)?;
                            parts.outbox.write(conn, event).await?;
                            Ok(lease.finish(conn, now).await?)
                        }
                        Some(_) if renewed => {
                            Ok(lease.finish_and_requeue(conn, now, now + KEEP_ALIVE).await?)
                        }
                        _ => Ok(lease.finish(conn, now).await?),
                    }
                },
            )
            .await
            .map_err(LinkingError::into_job_error)
    }

    async fn leave(&self, lease: &Lease) -> Result<Finished, JobError> {
        let now = self.linking.now();
        let finish =
            async |conn: &mut Conn| -> Result<Finished, LeaseError> { lease.finish(conn, now).await };
        Ok(self.linking.parts.db.run_tx("finish_refresh", finish).await?)
    }

    async fn again_in(&self, lease: &Lease, wait: TimeDelta) -> Result<Finished, JobError> {
        let now = self.linking.now();
        Ok(self
            .linking
            .parts
            .db
            .run_tx(
                "postpone_refresh",
                async |conn: &mut Conn| -> Result<Finished, LeaseError> {
                    lease.finish_and_requeue(conn, now, now + wait).await
                },
            )
            .await?)
    }
}

fn account_scope(link: &Link) -> KeyScope {
    KeyScope::Account(link.zoom_account_id.clone())
}

fn vault_error(error: domicile_vault::VaultError) -> JobError {
    JobError::new("vault", error.fate(), error)
}

fn refresh_error(error: OAuthError) -> JobError {
    let class = match &error {
        OAuthError::InvalidClient => "invalid_client",
        OAuthError::RateLimited { .. } => "rate_limited",
        OAuthError::LostAnswer(_) => "lost_answer",
        OAuthError::Unavailable { .. } => "zoom_unavailable",
        OAuthError::Unreachable(_) => "zoom_unreachable",
        _ => "rejected",
    };
    // A fault of the settings or of Zoom is no reason to give a user's grant up.
    let fate = match error.fate() {
        Fate::Final => Fate::RETRY,
        later @ Fate::Retry { .. } => later,
    };
    JobError::new(class, fate, error)
}

#[async_trait]
impl Handler for GrantRefresh {
    fn kind(&self) -> JobKind {
        GRANT_REFRESH
    }

    fn policy(&self) -> Policy {
        Policy {
            concurrency: 8,
            lane_concurrency: None,
            lease: Duration::from_secs(60),
            timeout: Duration::from_secs(50),
            backoff: Backoff {
                first: Duration::from_secs(2),
                longest: Duration::from_secs(900),
            },
            max_attempts: 500,
        }
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        let id = lease
            .key()
            .parse::<LinkId>()
            .map_err(|error| JobError::fail("bad_key", error))?;
        self.refresh(lease, id).await
    }
}
