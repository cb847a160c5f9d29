//! The refresher: the one way in which a grant's tokens are replaced, for the job and for whoever needs a token now.
//!
//! Lease, commit, call, commit (INV-4). The lease lies on the grant's row, so there is one refresher for each grant in all
//! replicas. Zoom replaces a refresh token without grace, so what comes of the call is written by these rules:
//!
//! - a pair is kept as long as the generation is the one that it follows, however late;
//! - a refusal ends the grant only for whoever still holds the lease and the generation;
//! - no answer makes the grant unsure, and only the next answer tells.

use std::time::Duration;

use chrono::TimeDelta;
use domicile_kernel::state::{GrantState, LinkStatus, ReauthorizationReason, TextState};
use domicile_kernel::{Fate, Secret, Timestamp};
use domicile_store::Conn;
use domicile_store::audit::{Actor, AuditEntry};
use domicile_vault::{DataKey, KeyScope};
use domicile_zoom::oauth::{LostCause, OAuthError, TokenSet, codes};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{Instrument, info, info_span, warn};

use super::schedule;
use crate::error::LinkingError;
use crate::grants;
use crate::link::Link;
use crate::linking::Linking;
use crate::metrics::METRICS;
use crate::store;
use crate::store::grants::{Grant, RefreshLease, SealedGrant};

/// How long one refresher has a grant for itself.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// The longest that Zoom may take. The rest of the lease is for writing.
const CALL_LIMIT: Duration = Duration::from_secs(40);
/// How often a pair is tried to be written when the database fails, once a second: nobody else has it.
const WRITE_TRIES: u32 = 120;

/// Why a refresh is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The job found it due.
    Schedule,
    /// Somebody needs a token now.
    Demand,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Demand => "demand",
        }
    }
}

/// What came of a refresh.
pub(crate) enum Refreshed {
    /// The next pair is in the row.
    Renewed(Grant),
    /// Zoom ended the grant, and the link says so.
    Ended(ReauthorizationReason),
    /// The row is no longer what the caller read: another pair came, or another refresher. Read it again.
    Overtaken,
    /// Another refresher has it.
    Held {
        /// When its lease ends.
        until: Timestamp,
    },
    /// Zoom must not be asked before this.
    NotBefore(Timestamp),
}

/// What became of a pair.
enum Kept {
    Yes,
    Overtaken,
    /// The link is gone, so nobody will use it.
    Unlinked,
}

impl Linking {
    /// Asks Zoom for the pair that follows the one that the caller read. It goes on when the caller is dropped, because the
    /// token is spent as soon as Zoom has seen it.
    pub(crate) async fn refresh(
        &self,
        link: &Link,
        grant: &Grant,
        cause: Cause,
    ) -> Result<Refreshed, LinkingError> {
        let now = self.now();
        if grant.state == GrantState::Ended {
            return Err(LinkingError::NeedsReauthorization(link.reauthorization_reason));
        }
        if let Some(until) = grant.held_until(now) {
            return Ok(Refreshed::Held { until });
        }
        if let Some(at) = grant.not_before.filter(|at| *at > now) {
            return Ok(Refreshed::NotBefore(at));
        }
        let lease = RefreshLease {
            token: self.parts.ids.random(),
            generation: grant.generation,
            expires_at: now + LEASE,
        };
        let taken = self
            .parts
            .db
            .run_tx(
                "lease_grant",
                async |conn: &mut Conn| -> Result<Option<Grant>, LinkingError> {
                    let taken = store::grants::take_lease(conn, link.id, &lease, now).await?;
                    if taken.is_some() && cause == Cause::Demand {
                        // Should this process die, the job finds what it left.
                        self.request_refresh(conn, link.id, lease.expires_at).await?;
                    }
                    Ok(taken)
                },
            )
            .await?;
        let Some(grant) = taken else {
            return Ok(Refreshed::Overtaken);
        };
        let refresher = Refresher {
            linking: self.clone(),
            link: link.clone(),
            grant,
            lease,
            cause,
        };
        let span = info_span!("grant.refresh", link.id = %link.id, refresh.cause = cause.as_str());
        let running = async move { refresher.run().await }.instrument(span);
        match self.refreshers.spawn(running).await {
            Ok(outcome) => outcome,
            Err(failed) => Err(LinkingError::TokenUnavailable {
                retry_after: None,
                source: Box::new(failed),
            }),
        }
    }
}

impl Linking {
    /// Waits at a stop until no refresh is under way, for this time at most: what ends in the middle of its call may have
    /// lost the only pair that works.
    pub async fn finish_refreshes(&self, limit: Duration) {
        self.refreshers.close();
        if timeout(limit, self.refreshers.wait()).await.is_err() {
            warn!(
                refreshes = self.refreshers.len(),
                "the stop cuts refreshes off; their grants are unsure"
            );
        }
    }
}

/// Who holds the lease of one grant.
struct Refresher {
    linking: Linking,
    link: Link,
    grant: Grant,
    lease: RefreshLease,
    cause: Cause,
}

impl Refresher {
    async fn run(&self) -> Result<Refreshed, LinkingError> {
        // Whatever can fail here fails before Zoom replaces anything.
        let (key, token) = match self.prepare().await {
            Ok(prepared) => prepared,
            Err(error) => {
                self.release().await?;
                return Err(error);
            }
        };
        let now = self.linking.now();
        let Some(token) = token else {
            return self.without_refresh_token(&key, now).await;
        };
        let left = (self.lease.expires_at - now).to_std().unwrap_or_default();
        if left < CALL_LIMIT {
            // The process stood still since it took the lease; the next one begins afresh.
            self.release().await?;
            return Ok(Refreshed::Overtaken);
        }
        let answer = timeout(CALL_LIMIT, self.linking.parts.oauth.refresh(&token)).await;
        match answer.unwrap_or(Err(OAuthError::LostAnswer(LostCause::Silence))) {
            Ok(tokens) => self.keep(&key, &tokens).await,
            Err(OAuthError::InvalidGrant { code }) => {
                let reason = self.reason(code, self.linking.now());
                self.end(&key, reason).await
            }
            Err(error) => self.fail(error).await,
        }
    }

    async fn prepare(&self) -> Result<(DataKey, Option<Secret<String>>), LinkingError> {
        let vault = &self.linking.parts.vault;
        let scope = KeyScope::Account(self.link.zoom_account_id.clone());
        let key = vault.key(&scope).await?;
        let token = grants::open_refresh(vault, self.link.id, &self.grant.tokens).await?;
        Ok((key, token))
    }

    async fn without_refresh_token(&self, key: &DataKey, now: Timestamp) -> Result<Refreshed, LinkingError> {
        if self.grant.tokens.access_expires_at <= now {
            return self.end(key, ReauthorizationReason::NoRefreshToken).await;
        }
        self.release().await?;
        Err(LinkingError::TokenUnavailable {
            retry_after: None,
            source: Box::new(NoRefreshToken),
        })
    }

    /// Seals and writes the pair. While it is in no row this process alone has it, so writing is tried long.
    async fn keep(&self, key: &DataKey, tokens: &TokenSet) -> Result<Refreshed, LinkingError> {
        let now = self.linking.now();
        let sealed = self.seal(key, tokens, now)?;
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tries = 0;
        let kept = loop {
            seconds.tick().await;
            tries += 1;
            match self.write(&sealed, &tokens.scopes, now).await {
                Ok(kept) => break kept,
                Err(error) if error.fate().is_retry() && tries < WRITE_TRIES => {
                    warn!(%error, tries, "a new pair of tokens could not be written yet");
                }
                Err(error) => {
                    METRICS.refresh("unwritten", "database");
                    return Err(error);
                }
            }
        };
        match kept {
            Kept::Yes => {
                METRICS.refresh("renewed", "");
                Ok(Refreshed::Renewed(Grant {
                    tokens: sealed,
                    generation: self.lease.generation + 1,
                    state: GrantState::Fresh,
                    refreshed_at: now,
                    last_used_at: self.used_at(now).or(self.grant.last_used_at),
                    lease: None,
                    asking: false,
                    failures: 0,
                    not_before: None,
                }))
            }
            Kept::Overtaken => {
                METRICS.refresh("overtaken", "");
                warn!("a new authorization, or another refresher, overtook this one");
                Ok(Refreshed::Overtaken)
            }
            Kept::Unlinked => {
                METRICS.refresh("unlinked", "");
                self.revoke(tokens).await?;
                Err(LinkingError::LinkRevoked)
            }
        }
    }

    fn seal(&self, key: &DataKey, tokens: &TokenSet, now: Timestamp) -> Result<SealedGrant, LinkingError> {
        let parts = &self.linking.parts;
        let hosts = parts.api.hosts();
        // The grant has rotated, so it is kept whatever the answer names; a host that is not allowed changes nothing.
        let base = match grants::api_base(hosts, tokens, &parts.default_api_base) {
            Ok(base) => base,
            Err(error) => {
                warn!(%error, "a refresh named an API host that is not allowed; the former one stays");
                grants::stored_base(hosts, &self.grant.tokens)
                    .unwrap_or_else(|_| parts.default_api_base.clone())
            }
        };
        let mut sealed = grants::seal(key, self.link.id, tokens, &base, now)?;
        // RFC 6749 section 6: no new refresh token means that the old one stays.
        if tokens.refresh_token.is_none() {
            sealed
                .refresh_token_sealed
                .clone_from(&self.grant.tokens.refresh_token_sealed);
        }
        Ok(sealed)
    }

    async fn write(
        &self,
        sealed: &SealedGrant,
        scopes: &[String],
        now: Timestamp,
    ) -> Result<Kept, LinkingError> {
        let id = self.link.id;
        self.linking
            .parts
            .db
            .run_tx(
                "rotate_grant",
                async |conn: &mut Conn| -> Result<Kept, LinkingError> {
                    let Some(link) = self.lock_live(conn).await? else {
                        return Ok(Kept::Unlinked);
                    };
                    let used_at = self.used_at(now);
                    if !store::grants::rotate(conn, id, &self.lease, sealed, used_at, now).await? {
                        self.give_back(conn).await?;
                        return Ok(Kept::Overtaken);
                    }
                    // Zoom may leave the scopes out; then nothing is known of a change.
                    if !scopes.is_empty() && link.scopes != scopes {
                        let link = Link {
                            scopes: scopes.to_vec(),
                            updated_at: now,
                            ..link
                        };
                        store::links::update(conn, &link).await?;
                    }
                    Ok(Kept::Yes)
                },
            )
            .await
    }

    /// Locks the link; none, and the lease given back, if it has ended.
    async fn lock_live(&self, conn: &mut Conn) -> Result<Option<Link>, LinkingError> {
        let link = store::links::lock(conn, self.link.id)
            .await?
            .filter(|link| link.status != LinkStatus::Revoked);
        if link.is_none() {
            self.give_back(conn).await?;
        }
        Ok(link)
    }

    /// The grant is at an end, unless another refresher or authorization has renewed it meanwhile.
    async fn end(&self, key: &DataKey, reason: ReauthorizationReason) -> Result<Refreshed, LinkingError> {
        let now = self.linking.now();
        let parts = &self.linking.parts;
        let id = self.link.id;
        let ended = parts
            .db
            .run_tx(
                "end_grant",
                async |conn: &mut Conn| -> Result<bool, LinkingError> {
                    let Some(link) = self.lock_live(conn).await? else {
                        return Ok(false);
                    };
                    if !store::grants::end(conn, id, &self.lease).await? {
                        self.give_back(conn).await?;
                        return Ok(false);
                    }
                    if link.status == LinkStatus::Active {
                        let lost = link.lose_grant(reason, now)?;
                        store::links::update(conn, &lost).await?;
                        AuditEntry::done(Actor::Zoom, "link.lose_grant")
                            .because(reason.as_str())
                            .subject(&lost.subject)
                            .link(id)
                            .zoom(&lost.zoom_account_id, lost.zoom_user_id.as_ref())
                            .write(conn, &parts.ids)
                            .await?;
                        let event = self
                            .linking
                            .event(key, "link.needs_reauthorization", &lost, now)?;
                        parts.outbox.write(conn, event).await?;
                    }
                    Ok(true)
                },
            )
            .await?;
        if ended {
            METRICS.refresh("ended", reason.as_str());
            info!(reason = reason.as_str(), "the grant has ended");
            Ok(Refreshed::Ended(reason))
        } else {
            METRICS.refresh("overtaken", "");
            info!("the refresh token was refused, and something newer has taken its place");
            Ok(Refreshed::Overtaken)
        }
    }

    /// Why Zoom refused: its own number, else what is known of the token.
    fn reason(&self, code: Option<u32>, now: Timestamp) -> ReauthorizationReason {
        match code {
            Some(codes::USER_GONE) => ReauthorizationReason::UserGone,
            Some(codes::APP_DISABLED_BY_ADMIN) => ReauthorizationReason::AppDisabled,
            Some(codes::TOKEN_REVOKED) => ReauthorizationReason::Revoked,
            _ if self.grant.times().has_outlived(now) => ReauthorizationReason::RefreshTokenExpired,
            _ if self.grant.state == GrantState::Unsure => ReauthorizationReason::LostRotation,
            _ => ReauthorizationReason::InvalidGrant,
        }
    }

    /// No pair came. The grant lives on, and is unsure where Zoom may have made one.
    async fn fail(&self, error: OAuthError) -> Result<Refreshed, LinkingError> {
        let parts = &self.linking.parts;
        let now = self.linking.now();
        let state = if error.may_have_rotated() {
            self.grant.state.lose_answer()?
        } else {
            self.grant.state
        };
        let asked = match error.fate() {
            Fate::Retry { after } => after,
            // A fault of the settings or of Zoom is no reason to give a user's grant up.
            Fate::Final => None,
        };
        let failures = self.grant.failures.saturating_add(1);
        let not_before = schedule::retry_at(now, failures, asked, parts.ids.rng().as_ref());
        let id = self.link.id;
        let written = parts
            .db
            .run_tx(
                "fail_refresh",
                async |conn: &mut Conn| -> Result<bool, LinkingError> {
                    if !store::grants::fail(conn, id, &self.lease, state, not_before).await? {
                        self.give_back(conn).await?;
                        return Ok(false);
                    }
                    if self.cause == Cause::Demand {
                        self.linking.request_refresh(conn, id, not_before).await?;
                    }
                    Ok(true)
                },
            )
            .await?;
        let outcome = if error.may_have_rotated() {
            "unsure"
        } else {
            "failed"
        };
        METRICS.refresh(outcome, error_class(&error));
        if !written {
            return Ok(Refreshed::Overtaken);
        }
        Err(LinkingError::TokenUnavailable {
            retry_after: (not_before - now).to_std().ok(),
            source: Box::new(error),
        })
    }

    async fn release(&self) -> Result<(), LinkingError> {
        self.linking
            .parts
            .db
            .run_tx("release_grant", async |conn: &mut Conn| {
                self.give_back(conn).await
            })
            .await
    }

    async fn give_back(&self, conn: &mut Conn) -> Result<(), LinkingError> {
        if !store::grants::release(conn, self.link.id, self.lease.token).await? {
            METRICS.lease_lost();
        }
        Ok(())
    }

    /// Ends a pair that nobody will use. It is left alone where the same Zoom user is linked anew, because Zoom may end
    /// all of a user's tokens with one.
    async fn revoke(&self, tokens: &TokenSet) -> Result<(), LinkingError> {
        let (account, user) = (&self.link.zoom_account_id, self.link.zoom_user_id.as_ref());
        let parts = &self.linking.parts;
        let linked_anew = parts
            .db
            .run_tx(
                "find_newer_link",
                async |conn: &mut Conn| -> Result<bool, LinkingError> {
                    Ok(store::links::lock_live_by_zoom(conn, account, user)
                        .await?
                        .is_some())
                },
            )
            .await?;
        if !linked_anew && let Err(error) = parts.oauth.revoke(&tokens.access_token).await {
            warn!(%error, "the tokens of a link that has ended could not be revoked at Zoom");
        }
        Ok(())
    }

    /// A token that was asked for is used at once.
    fn used_at(&self, now: Timestamp) -> Option<Timestamp> {
        (self.cause == Cause::Demand).then_some(now)
    }
}

/// A fixed name of a failure, for metrics and for the job's row.
pub(crate) fn error_class(error: &OAuthError) -> &'static str {
    match error {
        OAuthError::InvalidGrant { .. } => "invalid_grant",
        OAuthError::InvalidClient => "invalid_client",
        OAuthError::RateLimited { .. } => "rate_limited",
        OAuthError::LostAnswer(_) => "lost_answer",
        OAuthError::Unavailable { .. } => "zoom_unavailable",
        OAuthError::Unreachable(_) => "zoom_unreachable",
        OAuthError::Rejected { .. } | OAuthError::NotARequest => "rejected",
    }
}

#[derive(Debug, thiserror::Error)]
#[error("Zoom gave no refresh token with this grant")]
struct NoRefreshToken;
