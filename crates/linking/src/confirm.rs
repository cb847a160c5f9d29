//! The confirmation: exchange, identity, home, link. Each call to Zoom stands between transactions (INV-4).

use domicile_kernel::state::{LinkStatus, RefusalReason, RevocationReason};
use domicile_kernel::subject::SubjectKind;
use domicile_kernel::{Subject, Timestamp, ZoomUserId};
use domicile_leases::{NewJob, enqueue};
use domicile_store::Conn;
use domicile_store::audit::{Actor, AuditEntry};
use domicile_vault::{DataKey, KeyScope, VaultError};
use domicile_zoom::api::{ApiError, ZoomUser};
use domicile_zoom::host::ApiBase;
use domicile_zoom::oauth::TokenSet;
use domicile_zoom::scope::{self, Usage};
use tracing::{info, warn};

use crate::claim::Claim;
use crate::error::LinkingError;
use crate::grants;
use crate::jobs::GRANT_REFRESH;
use crate::link::Link;
use crate::linking::Linking;
use crate::metrics::METRICS;
use crate::refusal::{Refusal, Refusing};
use crate::settings::UnknownCluster;
use crate::store::sessions::Handle;
use crate::store::{self, sessions};
use crate::unlink::{AtZoom, Ending};

/// How often a read that follows the exchange is tried: the code is spent, so giving up costs the user a new consent.
const IDENTITY_TRIES: usize = 3;
/// How often a decision is made that others overtake.
const DECISION_TRIES: usize = 3;

/// An authorization whose user and home are known.
struct Authorization {
    tokens: TokenSet,
    base: ApiBase,
    user: ZoomUser,
}

/// What is linked already decides.
enum Decision {
    Linked(Link),
    Refused { reason: RefusalReason, tokens: Tokens },
}

/// What became of the tokens of a refused session.
#[derive(PartialEq, Eq)]
enum Tokens {
    /// A link that exists has them now.
    Kept,
    /// Nobody has them: they are to be revoked.
    Unused,
}

impl Linking {
    /// Makes the link active if ticket and subject belong together. It goes on when the app's connection breaks, because
    /// the code is spent as soon as Zoom has seen it.
    pub async fn confirm(
        &self,
        ticket: &str,
        subject: &Subject,
        actor: &Actor,
    ) -> Result<Link, LinkingError> {
        let claim = self.claim(ticket, subject, actor).await?;
        self.finish_claim(claim).await
    }

    /// Turns a claim into a link, also when nobody waits for it any more.
    pub(crate) async fn finish_claim(&self, claim: Claim) -> Result<Link, LinkingError> {
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
                let refusal = match &error {
                    LinkingError::Refused(refusal) => refusal.clone(),
                    LinkingError::ZoomRejected(_) => RefusalReason::CodeRejected.into(),
                    _ => RefusalReason::Failed.into(),
                };
                self.refuse_claim(&claim, &refusal).await?;
                return Err(error);
            }
        };
        match self.link_or_refuse(&claim, &authorization).await {
            Ok(Decision::Linked(link)) => Ok(link),
            Ok(Decision::Refused { reason, tokens }) => {
                if tokens == Tokens::Unused {
                    self.revoke(&authorization.tokens).await;
                }
                Err(LinkingError::Refused(reason.into()))
            }
            Err(error) => {
                self.revoke(&authorization.tokens).await;
                self.refuse_claim(&claim, &RefusalReason::Failed.into()).await?;
                Err(error)
            }
        }
    }

    /// Exchange, home, identity, admission. Once the exchange has succeeded every failure revokes.
    async fn authorize(&self, claim: &Claim) -> Result<Authorization, LinkingError> {
        let parts = &self.parts;
        let (code, verifier) = self.open_claim(claim).await?;
        let tokens = parts
            .oauth
            .exchange(&code, &verifier)
            .await
            .map_err(LinkingError::from_exchange)?;
        match self.examine(&claim.subject, &tokens).await {
            Ok((base, user)) => Ok(Authorization { tokens, base, user }),
            Err(error) => {
                self.revoke(&tokens).await;
                Err(error)
            }
        }
    }

    /// Everything that must be right before anything is stored.
    async fn examine(
        &self,
        subject: &Subject,
        tokens: &TokenSet,
    ) -> Result<(ApiBase, ZoomUser), LinkingError> {
        let base = self.home(tokens)?;
        let user = self.identify(&base, tokens).await?;
        let fits = match (scope::usage(&tokens.scopes), subject.kind()) {
            (Some(Usage::UserManaged), SubjectKind::User) | (Some(Usage::AdminManaged), SubjectKind::Org) => {
                true
            }
            (Some(_), _) => false,
            // Where Zoom does not tell, a token is taken for its user's own: never for a whole account's.
            (None, kind) => kind == SubjectKind::User,
        };
        if !fits {
            return Err(LinkingError::Refused(RefusalReason::WrongAppKind.into()));
        }
        if !self.may_link(&user.account_id).await? {
            return Err(LinkingError::Refused(RefusalReason::NotAdmitted.into()));
        }
        Ok((base, user))
    }

    /// The home that the token answer names, if this region serves it.
    fn home(&self, tokens: &TokenSet) -> Result<ApiBase, LinkingError> {
        let (parts, settings) = (&self.parts, &self.parts.settings);
        let base = grants::api_base(parts.api.hosts(), tokens, &parts.default_api_base).map_err(|error| {
            warn!(%error, "the token answer names an API host that is not allowed");
            LinkingError::Refused(RefusalReason::WrongCluster.into())
        })?;
        match base.cluster() {
            Some(cluster) if settings.clusters.iter().any(|ours| ours == cluster) => Ok(base),
            Some(cluster) => {
                let region = settings.directory.of_cluster(cluster);
                Err(LinkingError::Refused(Refusal::wrong_cluster(cluster, region)))
            }
            None if settings.unknown_cluster == UnknownCluster::Allow => Ok(base),
            None => Err(LinkingError::Refused(RefusalReason::UnknownCluster.into())),
        }
    }

    async fn identify(&self, base: &ApiBase, tokens: &TokenSet) -> Result<ZoomUser, LinkingError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.parts.api.users_me(base, &tokens.access_token).await {
                Ok(user) => return Ok(user),
                Err(error) if error.fate().is_retry() && tries < IDENTITY_TRIES => {
                    warn!(error = %error, "Zoom did not say whose grant it is; asking again");
                }
                Err(error @ ApiError::MissingScopes { .. }) => {
                    warn!(%error, "Zoom does not say whose grant it is");
                    return Err(LinkingError::Refused(RefusalReason::ScopeMissing.into()));
                }
                Err(error) => return Err(LinkingError::ZoomRejected(Box::new(error))),
            }
        }
    }

    /// Decides by what is linked already, in one transaction with the effect.
    async fn link_or_refuse(&self, claim: &Claim, auth: &Authorization) -> Result<Decision, LinkingError> {
        let scope = KeyScope::Account(auth.user.account_id.clone());
        let with = self.refusing(claim.actor.clone()).await?;
        let mut tries = 0;
        let decided = loop {
            tries += 1;
            let key = self.parts.vault.key(&scope).await?;
            match self.decide(claim, auth, &key, &with).await {
                // Another confirmation was faster, or the account's last link ended: what was written there decides now.
                Err(error) if tries < DECISION_TRIES && error.is_overtaken() => {}
                decided => break decided,
            }
        };
        let decided = decided?;
        if let Decision::Linked(link) = &decided {
            METRICS.session("completed", "");
            info!(link.id = %link.id, connect_session.id = %claim.id, "a link is active");
            let missing: Vec<_> = scope::missing(&link.scopes).iter().map(|it| it.name).collect();
            if !missing.is_empty() {
                warn!(link.id = %link.id, scopes = ?missing, "scopes that the service needs were not granted");
            }
        }
        Ok(decided)
    }

    async fn decide(
        &self,
        claim: &Claim,
        auth: &Authorization,
        key: &DataKey,
        with: &Refusing,
    ) -> Result<Decision, LinkingError> {
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
                let taken = |link: &Link| link.subject != claim.subject;
                let (of_another, ours) = match of_zoom {
                    Some(link) if taken(&link) => (Some(link), None),
                    ours => (None, ours),
                };
                let elsewhere = of_subject.filter(|link| ours.as_ref().is_none_or(|ours| ours.id != link.id));
                let reason = match (&of_another, &elsewhere) {
                    (Some(_), _) => Some(RefusalReason::ZoomUserLinked),
                    (None, Some(_)) => Some(RefusalReason::SubjectLinked),
                    (None, None) => None,
                };
                if let Some(reason) = reason.filter(|_| !claim.replace) {
                    let tokens = match &of_another {
                        // Zoom ended the tokens of that link when it gave these, which are for the same Zoom user. One that
                        // needs a new authorization gets none that way: nobody gave it for that subject.
                        Some(link) if link.status == LinkStatus::Active => {
                            self.store_grant(conn, key, link, auth, now).await?;
                            Tokens::Kept
                        }
                        _ => Tokens::Unused,
                    };
                    self.refuse_claim_in(conn, claim, &reason.into(), with).await?;
                    return Ok(Decision::Refused { reason, tokens });
                }
                // To revoke the former grant of the same Zoom user would end the new one too.
                for (link, at_zoom) in [(of_another, AtZoom::Leave), (elsewhere, AtZoom::Revoke)] {
                    if let Some(link) = link {
                        let ending = Ending {
                            reason: RevocationReason::Replaced,
                            at_zoom,
                            actor: claim.actor.clone(),
                        };
                        self.end_link(conn, &with.key, link, &ending, now).await?;
                    }
                }
                let link = self.activate(conn, key, ours, claim, auth, user, now).await?;
                sessions::complete(conn, claim.id, status, link.id, now).await?;
                Ok(Decision::Linked(link))
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
        let (link, event_type, cause) = match existing {
            Some(link) => {
                let (event_type, cause) = match link.status {
                    LinkStatus::NeedsReauthorization => ("link.recovered", "recovered"),
                    _ => ("link.active", "renewed"),
                };
                let link = link.reauthorize(auth.tokens.scopes.clone(), cluster, now)?;
                store::links::update(conn, &link).await?;
                (link, event_type, cause)
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
                (link, "link.active", "new")
            }
        };
        self.store_grant(conn, key, &link, auth, now).await?;
        self.parts
            .outbox
            .write(conn, self.event(key, event_type, &link, now)?)
            .await?;
        AuditEntry::done(claim.actor.clone(), "link.activate")
            .because(cause)
            .subject(&link.subject)
            .connect_session(claim.id)
            .link(link.id)
            .zoom(&link.zoom_account_id, link.zoom_user_id.as_ref())
            .write(conn, &self.parts.ids)
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
        // Whoever destroys the key of an account without links waits for this, and finds the link.
        self.parts.vault.hold(conn, key).await?;
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
