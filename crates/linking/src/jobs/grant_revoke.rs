//! The end of a grant at Zoom, after its link has ended.
//!
//! Zoom may end all tokens of a user when one of them is revoked, the ones of a newer grant too. So only a token that Zoom
//! still takes is revoked: while it does, no newer grant of that user exists.

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domicile_kernel::state::{GrantState, LinkStatus};
use domicile_kernel::{Fate, LinkId, Secret, Timestamp};
use domicile_leases::{Backoff, Finished, Handler, JobError, JobKind, Lease, LeaseError, Policy};
use domicile_store::Conn;
use domicile_store::audit::{Actor, AuditEntry};
use domicile_vault::VaultError;
use domicile_zoom::api::ApiError;
use domicile_zoom::oauth::{OAuthError, TokenSet};
use tracing::{info, warn};

use super::GRANT_REVOKE;
use crate::error::LinkingError;
use crate::grants;
use crate::grants::refresh::error_class;
use crate::link::Link;
use crate::linking::Linking;
use crate::metrics::METRICS;
use crate::store;
use crate::store::grants::{Grant, RefreshLease};

/// An access token with less life than this is not used.
const LEAST_LIFE: TimeDelta = TimeDelta::seconds(60);
/// When to look again at what somebody else is about.
const SOON: TimeDelta = TimeDelta::seconds(5);
/// How long a refresh may take.
const REFRESH_LEASE: TimeDelta = TimeDelta::seconds(60);

pub(crate) struct GrantRevoke {
    linking: Linking,
}

/// What came of an attempt.
enum Outcome {
    /// It has ended, and why.
    Ended(&'static str),
    /// Somebody else is about it until then.
    NotBefore(Timestamp),
}

/// Whether Zoom takes a token.
enum Probe {
    Alive,
    Dead,
}

impl GrantRevoke {
    pub(crate) fn new(linking: Linking) -> Self {
        Self { linking }
    }

    async fn end(&self, link: &Link, grant: &Grant) -> Result<Outcome, JobError> {
        let now = self.linking.now();
        if grant.state == GrantState::Ended {
            return Ok(Outcome::Ended("ended_by_zoom"));
        }
        if self.is_granted_anew(link).await? {
            return Ok(Outcome::Ended("granted_anew"));
        }
        if let Some(until) = grant.held_until(now) {
            return Ok(Outcome::NotBefore(until.min(now + SOON)));
        }
        if grant.tokens.access_expires_at - now > LEAST_LIFE {
            let vault = &self.linking.parts.vault;
            let token = match grants::open_access(vault, link.id, &grant.tokens).await {
                Ok(token) => token,
                Err(error) => return lost(link, error),
            };
            if let Probe::Alive = self.probe(grant, &token).await? {
                self.revoke(&token).await?;
                return Ok(Outcome::Ended("revoked"));
            }
        }
        self.refresh_and_revoke(link, grant).await
    }

    /// The same Zoom user is linked again: that grant has ended this one.
    async fn is_granted_anew(&self, link: &Link) -> Result<bool, JobError> {
        let Some(user) = &link.zoom_user_id else {
            return Ok(false);
        };
        let mut conn = self.linking.parts.db.conn().await?;
        Ok(store::links::live_by_zoom(&mut conn, &link.zoom_account_id, user).await?)
    }

    async fn probe(&self, grant: &Grant, token: &Secret<String>) -> Result<Probe, JobError> {
        let api = &self.linking.parts.api;
        let Ok(base) = grants::stored_base(api.hosts(), &grant.tokens) else {
            // The settings do not allow its host any more; the token endpoint knows as well.
            return Ok(Probe::Dead);
        };
        match api.users_me(&base, token).await {
            Ok(_) | Err(ApiError::MissingScopes { .. }) => Ok(Probe::Alive),
            Err(ApiError::Unauthorized { .. } | ApiError::NotFound { .. }) => Ok(Probe::Dead),
            Err(error) => {
                let after = match error.fate() {
                    Fate::Retry { after } => after,
                    Fate::Final => None,
                };
                Err(JobError::new("zoom_unavailable", Fate::Retry { after }, error))
            }
        }
    }

    /// A grant whose access token has run out lives on in its refresh token, for 90 days.
    async fn refresh_and_revoke(&self, link: &Link, grant: &Grant) -> Result<Outcome, JobError> {
        let parts = &self.linking.parts;
        let token = match grants::open_refresh(&parts.vault, link.id, &grant.tokens).await {
            Ok(Some(token)) => token,
            Ok(None) => return Ok(Outcome::Ended("ran_out")),
            Err(error) => return lost(link, error),
        };
        // Sealed like what the app is told: the account's key may be destroyed by now.
        let key = self
            .linking
            .ending_key()
            .await
            .map_err(LinkingError::into_job_error)?;
        let now = self.linking.now();
        let lease = RefreshLease {
            token: parts.ids.random(),
            generation: grant.generation,
            expires_at: now + REFRESH_LEASE,
        };
        let leased = parts
            .db
            .run_tx("lease_ended_grant", async |conn: &mut Conn| {
                store::grants::take_lease(conn, link.id, &lease, now).await
            })
            .await?;
        let Some(grant) = leased else {
            return Ok(Outcome::NotBefore(now));
        };
        match parts.oauth.refresh(&token).await {
            Ok(tokens) => {
                let sealed = self.seal(&key, link, &grant, &tokens)?;
                let now = self.linking.now();
                // Written before it is used: what is in no row can be revoked by nobody.
                parts
                    .db
                    .run_tx("rotate_ended_grant", async |conn: &mut Conn| {
                        store::grants::rotate(conn, link.id, &lease, &sealed, None, now).await
                    })
                    .await?;
                self.revoke(&tokens.access_token).await?;
                Ok(Outcome::Ended("revoked"))
            }
            Err(OAuthError::InvalidGrant { .. }) => Ok(Outcome::Ended("ended_by_zoom")),
            Err(error) => {
                let now = self.linking.now();
                let state = if error.may_have_rotated() {
                    grant
                        .state
                        .lose_answer()
                        .map_err(|error| JobError::fail("state", error))?
                } else {
                    grant.state
                };
                parts
                    .db
                    .run_tx("fail_ended_grant", async |conn: &mut Conn| {
                        store::grants::fail(conn, link.id, &lease, state, now).await
                    })
                    .await?;
                Err(oauth_error(error))
            }
        }
    }

    fn seal(
        &self,
        key: &domicile_vault::DataKey,
        link: &Link,
        grant: &Grant,
        tokens: &TokenSet,
    ) -> Result<store::grants::SealedGrant, JobError> {
        let parts = &self.linking.parts;
        let base = grants::stored_base(parts.api.hosts(), &grant.tokens)
            .unwrap_or_else(|_| parts.default_api_base.clone());
        let mut sealed =
            grants::seal(key, link.id, tokens, &base, self.linking.now()).map_err(vault_error)?;
        // RFC 6749 section 6: no new refresh token means that the old one stays.
        if tokens.refresh_token.is_none() {
            sealed
                .refresh_token_sealed
                .clone_from(&grant.tokens.refresh_token_sealed);
        }
        Ok(sealed)
    }

    async fn revoke(&self, token: &Secret<String>) -> Result<(), JobError> {
        self.linking.parts.oauth.revoke(token).await.map_err(oauth_error)
    }

    async fn finish(&self, lease: &Lease, link: &Link, outcome: &Outcome) -> Result<Finished, JobError> {
        let parts = &self.linking.parts;
        let now = self.linking.now();
        let finished = parts
            .db
            .run_tx(
                "finish_revocation",
                async |conn: &mut Conn| -> Result<Finished, LeaseError> {
                    let how = match outcome {
                        Outcome::Ended(how) => how,
                        Outcome::NotBefore(at) => return lease.finish_and_requeue(conn, now, *at).await,
                    };
                    store::grants::delete(conn, link.id).await?;
                    AuditEntry::done(Actor::Service, "grant.revoke")
                        .because(how)
                        .subject(&link.subject)
                        .link(link.id)
                        .zoom(&link.zoom_account_id, link.zoom_user_id.as_ref())
                        .write(conn, &parts.ids)
                        .await?;
                    lease.finish(conn, now).await
                },
            )
            .await?;
        if let Outcome::Ended(how) = outcome {
            METRICS.revocation(how);
            info!(link.id = %link.id, how, "the grant of a link that ended has ended");
        }
        Ok(finished)
    }

    async fn nothing_to_do(&self, lease: &Lease) -> Result<Finished, JobError> {
        let now = self.linking.now();
        let finish =
            async |conn: &mut Conn| -> Result<Finished, LeaseError> { lease.finish(conn, now).await };
        Ok(self.linking.parts.db.run_tx("finish_revocation", finish).await?)
    }
}

/// The key that sealed the tokens is gone, so nobody can use them, not even to revoke them.
fn lost(link: &Link, error: VaultError) -> Result<Outcome, JobError> {
    if matches!(error, VaultError::Destroyed(_)) {
        warn!(link.id = %link.id, "the tokens of a link that ended were erased before they were revoked; Zoom ends them after 90 days");
        return Ok(Outcome::Ended("erased"));
    }
    Err(vault_error(error))
}

fn vault_error(error: VaultError) -> JobError {
    JobError::new("vault", error.fate(), error)
}

/// Whatever Zoom or the settings fail in, the grant is to be revoked once they do not.
fn oauth_error(error: OAuthError) -> JobError {
    let after = match error.fate() {
        Fate::Retry { after } => after,
        Fate::Final => None,
    };
    JobError::new(error_class(&error), Fate::Retry { after }, error)
}

#[async_trait]
impl Handler for GrantRevoke {
    fn kind(&self) -> JobKind {
        GRANT_REVOKE
    }

    fn policy(&self) -> Policy {
        Policy {
            concurrency: 4,
            lane_concurrency: None,
            lease: Duration::from_secs(120),
            timeout: Duration::from_secs(110),
            backoff: Backoff {
                first: Duration::from_secs(2),
                longest: Duration::from_hours(1),
            },
            // About a week. Then an operator looks, and Zoom itself ends the grant after 90 days.
            max_attempts: 180,
        }
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        let id = lease
            .key()
            .parse::<LinkId>()
            .map_err(|error| JobError::fail("bad_key", error))?;
        let (link, grant) = {
            let mut conn = self.linking.parts.db.conn().await?;
            let link = store::links::by_id(&mut conn, id).await?;
            (link, store::grants::get(&mut conn, id).await?)
        };
        match (link, grant) {
            (Some(link), Some(grant)) if link.status == LinkStatus::Revoked => {
                let outcome = self.end(&link, &grant).await?;
                self.finish(lease, &link, &outcome).await
            }
            _ => self.nothing_to_do(lease).await,
        }
    }
}
