//! The confirmation: exchange, identity, home, link. Each call to Zoom stands between transactions (INV-4).

use domicile_kernel::state::{LinkStatus, RefusalReason};
use domicile_kernel::subject::SubjectKind;
use domicile_kernel::{Subject, Timestamp, ZoomUserId};
use domicile_leases::{NewJob, enqueue};
use domicile_store::Conn;
use domicile_vault::{DataKey, KeyScope};
use domicile_zoom::api::ZoomUser;
use domicile_zoom::host::ApiBase;
use domicile_zoom::oauth::TokenSet;
use tracing::{info, warn};

use crate::error::LinkingError;
use crate::grants;
use crate::jobs::GRANT_REFRESH;
use crate::link::Link;
use crate::linking::Linking;
use crate::metrics::METRICS;
use crate::sessions::Claim;
use crate::store::sessions::Handle;
use crate::store::{self, sessions};

/// How often a read that follows the exchange is tried: the code is spent, so giving up costs the user a new consent.
const IDENTITY_TRIES: usize = 3;

/// An authorization whose user and home are known.
struct Authorization {
    tokens: TokenSet,
    base: ApiBase,
    user: ZoomUser,
}

impl Linking {
    /// Makes the link active if ticket and subject belong together. It goes on when the app's connection breaks, because
    /// the code is spent as soon as Zoom has seen it.
    pub async fn confirm(&self, ticket: &str, subject: &Subject) -> Result<Link, LinkingError> {
        let claim = self.claim(ticket, subject).await?;
        let linking = self.clone();
        match tokio::spawn(async move { linking.finish(claim).await }).await {
            Ok(result) => result,
            Err(failed) => Err(LinkingError::ZoomRejected(Box::new(failed))),
        }
    }

    async fn finish(&self, claim: Claim) -> Result<Link, LinkingError> {
        let authorization = match self.authorize(&claim).await {
            Ok(authorization) => authorization,
            Err(error @ LinkingError::ZoomUnavailable(_)) => {
                self.give_back(&claim).await?;
                return Err(error);
            }
            Err(error) => {
                let reason = match &error {
                    LinkingError::WrongCluster { .. } | LinkingError::UnknownHome(_) => {
                        RefusalReason::WrongCluster
                    }
                    LinkingError::ZoomRejected(_) => RefusalReason::CodeRejected,
                    _ => RefusalReason::Failed,
                };
                self.refuse_claim(&claim, reason).await?;
                return Err(error);
            }
        };
        let linked = self.link_or_refuse(&claim, &authorization).await;
        if let Err(error) = &linked {
            // A Zoom user who is linked already keeps that link, and its grant now holds these tokens.
            if !matches!(error, LinkingError::Refused(RefusalReason::ZoomUserLinked)) {
                self.revoke(&authorization.tokens).await;
                self.refuse_claim(&claim, RefusalReason::Failed).await?;
            }
        }
        linked
    }

    /// Exchange, home, identity. Once the exchange has succeeded every failure revokes.
    async fn authorize(&self, claim: &Claim) -> Result<Authorization, LinkingError> {
        let parts = &self.parts;
        let (code, verifier) = self.open_claim(claim).await?;
        let tokens = parts
            .oauth
            .exchange(&code, &verifier)
            .await
            .map_err(LinkingError::from_exchange)?;
        match self.identify(&tokens).await {
            Ok((base, user)) => Ok(Authorization { tokens, base, user }),
            Err(error) => {
                self.revoke(&tokens).await;
                Err(error)
            }
        }
    }

    async fn identify(&self, tokens: &TokenSet) -> Result<(ApiBase, ZoomUser), LinkingError> {
        let parts = &self.parts;
        let base = grants::api_base(parts.api.hosts(), tokens, &parts.default_api_base)
            .map_err(LinkingError::UnknownHome)?;
        if let Some(cluster) = base.cluster()
            && !parts.settings.clusters.iter().any(|ours| ours == cluster)
        {
            return Err(LinkingError::WrongCluster {
                cluster: cluster.to_owned(),
            });
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match parts.api.users_me(&base, &tokens.access_token).await {
                Ok(user) => return Ok((base, user)),
                Err(error) if error.fate().is_retry() && tries < IDENTITY_TRIES => {
                    warn!(error = %error, "Zoom did not say whose grant it is; asking again");
                }
                Err(error) => return Err(LinkingError::ZoomRejected(Box::new(error))),
            }
        }
    }

    /// Decides by what is linked already, in one transaction with the effect.
    async fn link_or_refuse(&self, claim: &Claim, auth: &Authorization) -> Result<Link, LinkingError> {
        let key = self
            .parts
            .vault
            .key(&KeyScope::Account(auth.user.account_id.clone()))
            .await?;
        let decided = match self.decide(claim, auth, &key).await {
            // Another confirmation was faster; what it wrote decides now.
            Err(LinkingError::Store(error))
                if error.violates("links_one_live_per_subject")
                    || error.violates("links_one_live_per_zoom_user") =>
            {
                self.decide(claim, auth, &key).await
            }
            decided => decided,
        };
        match decided? {
            Ok(link) => {
                METRICS.session("completed", "");
                info!(link.id = %link.id, connect_session.id = %claim.id, "a link is active");
                Ok(link)
            }
            Err(reason) => {
                METRICS.session("refused", domicile_kernel::state::TextState::as_str(reason));
                Err(LinkingError::Refused(reason))
            }
        }
    }

    async fn decide(
        &self,
        claim: &Claim,
        auth: &Authorization,
        key: &DataKey,
    ) -> Result<Result<Link, RefusalReason>, LinkingError> {
        let now = self.now();
        let user = match claim.subject.kind() {
            SubjectKind::User => Some(&auth.user.id),
            SubjectKind::Org => None,
        };
        self.parts
            .db
            .run_tx("complete_connect_session", async |conn: &mut Conn| {
                let session = sessions::lock(conn, Handle::Id(claim.id))
                    .await?
                    .ok_or(LinkingError::UnknownSession)?;
                let status = session.status.complete().map_err(|_| LinkingError::Expired)?;
                let of_subject = store::links::lock_live_by_subject(conn, &claim.subject).await?;
                let of_zoom = store::links::lock_live_by_zoom(conn, &auth.user.account_id, user).await?;
                let refusal = match (&of_subject, &of_zoom) {
                    (_, Some(taken)) if taken.subject != claim.subject => {
                        // Zoom ended the tokens of that link when it gave these, which are for the same Zoom user.
                        self.store_grant(conn, key, taken, auth, now).await?;
                        Some(RefusalReason::ZoomUserLinked)
                    }
                    (Some(_other), None) => Some(RefusalReason::SubjectLinked),
                    _ => None,
                };
                if let Some(reason) = refusal {
                    sessions::refuse(conn, claim.id, session.status.refuse()?, reason, now).await?;
                    return Ok(Err(reason));
                }
                let link = self.activate(conn, key, of_zoom, claim, auth, user, now).await?;
                sessions::complete(conn, claim.id, status, link.id, now).await?;
                Ok(Ok(link))
            })
            .await
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one transaction, each of them needed"
    )]
    async fn activate(
        &self,
        conn: &mut Conn,
        key: &DataKey,
        existing: Option<Link>,
        claim: &Claim,
        auth: &Authorization,
        user: Option<&ZoomUserId>,
        now: Timestamp,
    ) -> Result<Link, LinkingError> {
        let cluster = auth.base.cluster().map(str::to_owned);
        let (link, event_type) = match existing {
            Some(link) => {
                let event_type = if link.status == LinkStatus::NeedsReauthorization {
                    "link.recovered"
                } else {
                    "link.active"
                };
                let link = link.reauthorize(auth.tokens.scopes.clone(), cluster, now)?;
                store::links::update(conn, &link).await?;
                (link, event_type)
            }
            None => {
                let link = Link {
                    id: self.parts.ids.make(),
                    subject: claim.subject.clone(),
                    zoom_account_id: auth.user.account_id.clone(),
                    zoom_user_id: user.cloned(),
                    zoom_cluster: cluster,
                    status: LinkStatus::Active,
                    reauthorization_reason: None,
                    scopes: auth.tokens.scopes.clone(),
                    created_at: now,
                    updated_at: now,
                };
                store::links::insert(conn, &link, self.parts.oauth.client_id()).await?;
                (link, "link.active")
            }
        };
        self.store_grant(conn, key, &link, auth, now).await?;
        self.parts
            .outbox
            .write(conn, self.event(key, event_type, &link, now)?)
            .await?;
        Ok(link)
    }

    async fn store_grant(
        &self,
        conn: &mut Conn,
        key: &DataKey,
        link: &Link,
        auth: &Authorization,
        now: Timestamp,
    ) -> Result<(), LinkingError> {
        let grant = grants::seal(key, link.id, &auth.tokens, &auth.base, now)?;
        store::grants::put(conn, link.id, &grant, now).await?;
        let job_key = link.id.to_string();
        let job = NewJob {
            kind: GRANT_REFRESH,
            key: &job_key,
            lane: None,
            due_at: grants::schedule::first(now, self.parts.ids.rng().as_ref()),
            traceparent: None,
        };
        Ok(enqueue(conn, &self.parts.ids, job).await?)
    }

    /// Ends tokens that nobody will use. Zoom ends them by itself after at most 90 days, so a failure is only logged.
    async fn revoke(&self, tokens: &TokenSet) {
        if let Err(error) = self.parts.oauth.revoke(&tokens.access_token).await {
            warn!(error = %error, "a grant that is not kept could not be revoked at Zoom");
        }
    }
}
