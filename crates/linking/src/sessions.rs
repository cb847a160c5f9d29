//! Connect sessions: opened by the app, started by a browser.

use chrono::TimeDelta;
use domicile_kernel::state::{ConnectSessionStatus, RefusalReason};
use domicile_kernel::{ConnectSessionId, Secret, Subject, Timestamp};
use domicile_leases::{NewJob, enqueue};
use domicile_store::audit::{Actor, AuditEntry};
use domicile_store::{Conn, StoreError};
use domicile_vault::{KeyScope, Place};
use domicile_zoom::oauth::PkceVerifier;
use tracing::info;
use url::Url;

use crate::error::LinkingError;
use crate::identity::Presence;
use crate::jobs::SESSION_EXPIRY;
use crate::linking::Linking;
use crate::metrics::METRICS;
use crate::store::sessions::{self, Handle, NewSession, Session, Started};
use crate::token;

/// How long a connect session lives.
pub const SESSION_LIFE: TimeDelta = TimeDelta::minutes(10);

pub(crate) const TABLE: &str = "connect_sessions";
pub(crate) const VERIFIER: &str = "pkce_verifier_sealed";
pub(crate) const CODE: &str = "code_sealed";

/// What the app asks for.
pub struct NewConnectSession<'a> {
    /// Whom to link.
    pub subject: &'a Subject,
    /// Where the browser goes afterwards.
    pub return_url: &'a Url,
    /// Whether links that stand in the way end. Without it they are a reason to refuse.
    pub replace: bool,
}

/// What the app gets for asking.
pub struct CreatedSession {
    /// The session's id.
    pub id: ConnectSessionId,
    /// Where the app sends its signed-in user. It holds a secret.
    pub connect_url: Secret<String>,
    /// After this it does not work.
    pub expires_at: Timestamp,
}

/// What a browser that opened the connect URL gets.
pub struct StartedSession {
    /// Names the browser's cookie.
    pub id: ConnectSessionId,
    /// The cookie's value.
    pub cookie: Secret<String>,
    /// Zoom's consent page. It holds the state.
    pub authorize_url: Secret<String>,
    /// How long the cookie is needed.
    pub life: TimeDelta,
}

/// What a step inside a transaction came to: a refusal must commit, so it is no error there.
pub(crate) enum Step<T> {
    Done(T),
    Failed(LinkingError),
}

impl<T> Step<T> {
    pub(crate) fn into_result(self) -> Result<T, LinkingError> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Failed(error) => Err(error),
        }
    }
}

impl Linking {
    /// Opens a connect session for a subject.
    pub async fn create_session(
        &self,
        new: NewConnectSession<'_>,
        actor: &Actor,
    ) -> Result<CreatedSession, LinkingError> {
        let parts = &self.parts;
        if !parts.settings.return_urls.allow(new.return_url) {
            return Err(LinkingError::ReturnUrlNotAllowed);
        }
        let id: ConnectSessionId = parts.ids.make();
        let connect_token = token::generate(&parts.settings.region_id, parts.ids.rng().as_ref());
        let (now, key) = (self.now(), id.to_string());
        let expires_at = now + SESSION_LIFE;
        let hash = token::hash(connect_token.expose());
        parts
            .db
            .run_tx(
                "create_connect_session",
                async |conn: &mut Conn| -> Result<(), StoreError> {
                    let row = NewSession {
                        id,
                        subject: new.subject,
                        return_url: new.return_url.as_str(),
                        replace: new.replace,
                        connect_token_hash: &hash,
                        now,
                        expires_at,
                    };
                    sessions::insert(conn, row).await?;
                    AuditEntry::done(actor.clone(), "connect_session.create")
                        .subject(new.subject)
                        .connect_session(id)
                        .write(conn, &parts.ids)
                        .await?;
                    let expiry = NewJob {
                        kind: SESSION_EXPIRY,
                        key: &key,
                        lane: None,
                        due_at: expires_at,
                        traceparent: None,
                    };
                    enqueue(conn, &parts.ids, expiry).await
                },
            )
            .await?;
        METRICS.session("created", "");
        info!(connect_session.id = %id, "a connect session was opened");
        let base = parts.settings.public_url.as_str().trim_end_matches('/');
        let connect_url = Secret::new(format!("{base}/connect/{}", connect_token.expose()));
        Ok(CreatedSession {
            id,
            connect_url,
            expires_at,
        })
    }

    /// A browser opens the connect URL: new state, cookie and verifier, and those of an earlier start are void. If the link
    /// is not for whoever sits there nothing changes, because anybody may open a link.
    pub async fn start_session(
        &self,
        connect_token: &str,
        presence: &Presence,
    ) -> Result<StartedSession, LinkingError> {
        let handle = token::hash(connect_token);
        let started = match self.elsewhere(connect_token) {
            Some(error) => Err(error),
            None => self.start(&handle, presence).await,
        };
        match started {
            Ok(started) => {
                METRICS.session("started", "");
                Ok(started)
            }
            Err(error) => {
                if let Some(reason) = error.refused_step() {
                    let entry = AuditEntry::refused(Actor::Browser, "connect_session.start", reason);
                    let entry = self.about(entry, &handle).await;
                    self.audit_refused(Actor::Browser, entry).await;
                }
                Err(error)
            }
        }
    }

    async fn start(&self, handle: &[u8], presence: &Presence) -> Result<StartedSession, LinkingError> {
        let parts = &self.parts;
        let rng = parts.ids.rng().as_ref();
        let region_key = parts.vault.key(&KeyScope::Region).await?;
        let region = &parts.settings.region_id;
        let (state, cookie) = (token::generate(region, rng), token::generate(region, rng));
        let verifier = PkceVerifier::generate(rng);
        let now = self.now();
        let (id, expires_at) = parts
            .db
            .run_tx(
                "start_connect_session",
                async |conn: &mut Conn| -> Result<_, LinkingError> {
                    let session = sessions::lock(conn, Handle::ConnectToken(handle))
                        .await?
                        .ok_or(LinkingError::UnknownSession)?;
                    if let Some(error) = session.over(now) {
                        return Err(error);
                    }
                    match presence.objection(&session.subject) {
                        None => {}
                        Some(RefusalReason::NotSignedIn) => return Err(LinkingError::NotSignedIn),
                        Some(_) => return Err(LinkingError::AnotherSubject),
                    }
                    let place = Place::new(TABLE, VERIFIER, session.id);
                    let started = Started {
                        status: session.status.start().map_err(|_| LinkingError::Used)?,
                        state_hash: token::hash(state.expose()),
                        cookie_hash: token::hash(cookie.expose()),
                        pkce_verifier_sealed: region_key
                            .seal(place, verifier.as_secret().expose().as_bytes())?,
                        now,
                    };
                    sessions::start(conn, session.id, &started).await?;
                    Ok((session.id, session.expires_at))
                },
            )
            .await?;
        let authorize_url = parts.oauth.authorize_url(&state, &verifier.challenge());
        Ok(StartedSession {
            id,
            cookie,
            authorize_url: Secret::new(authorize_url.to_string()),
            life: expires_at - now,
        })
    }

    /// Names the session of a connect token in an entry, if there is one.
    async fn about(&self, entry: AuditEntry, connect_token_hash: &[u8]) -> AuditEntry {
        let found = match self.parts.db.conn().await {
            Ok(mut conn) => sessions::of_connect_token(&mut conn, connect_token_hash).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(Some(session)) => entry.subject(&session.subject).connect_session(session.id),
            _ => entry,
        }
    }
}

impl Session {
    /// Why nothing can be done with it any more, if so.
    pub(crate) fn over(&self, now: Timestamp) -> Option<LinkingError> {
        match (self.status, self.refusal_reason) {
            (_, Some(RefusalReason::Expired)) => Some(LinkingError::Expired),
            (ConnectSessionStatus::Refused, Some(reason)) => Some(LinkingError::Refused(reason.into())),
            (ConnectSessionStatus::Completed | ConnectSessionStatus::Confirming, _) => {
                Some(LinkingError::Used)
            }
            _ if self.expires_at <= now => Some(LinkingError::Expired),
            _ => None,
        }
    }
}
