//! Connect sessions: from the app's request to the confirmation by the same subject (INV-6).

use chrono::TimeDelta;
use domicile_kernel::state::{ConnectSessionStatus, RefusalReason};
use domicile_kernel::{ConnectSessionId, Secret, Subject, Timestamp};
use domicile_leases::{NewJob, enqueue};
use domicile_store::{Conn, StoreError};
use domicile_vault::{KeyScope, Place};
use domicile_zoom::oauth::PkceVerifier;
use tracing::info;
use url::Url;

use crate::error::LinkingError;
use crate::jobs::SESSION_EXPIRY;
use crate::linking::Linking;
use crate::metrics::METRICS;
use crate::store::sessions::{self, Handle, NewSession, Session, Started};
use crate::token;

/// How long a connect session lives.
pub const SESSION_LIFE: TimeDelta = TimeDelta::minutes(10);

const TABLE: &str = "connect_sessions";
const VERIFIER: &str = "pkce_verifier_sealed";
const CODE: &str = "code_sealed";

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

/// What Zoom sent the browser back with.
pub enum Returned {
    /// The user agreed.
    Code(Secret<String>),
    /// The user or an administrator refused.
    Denied,
}

/// The code and its verifier, taken out of the row for one exchange.
pub(crate) struct Claim {
    pub(crate) id: ConnectSessionId,
    pub(crate) subject: Subject,
    pub(crate) code_sealed: Vec<u8>,
    pub(crate) verifier_sealed: Vec<u8>,
}

/// What a step inside a transaction came to: a refusal must commit, so it is no error there.
enum Step<T> {
    Done(T),
    Failed(LinkingError),
}

impl<T> Step<T> {
    fn into_result(self) -> Result<T, LinkingError> {
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
        subject: &Subject,
        return_url: &Url,
    ) -> Result<CreatedSession, LinkingError> {
        let parts = &self.parts;
        if !parts.settings.return_urls.allow(return_url) {
            return Err(LinkingError::ReturnUrlNotAllowed);
        }
        let id: ConnectSessionId = parts.ids.make();
        let connect_token = token::generate(parts.ids.rng().as_ref());
        let (now, key) = (self.now(), id.to_string());
        let expires_at = now + SESSION_LIFE;
        let hash = token::hash(connect_token.expose());
        parts
            .db
            .run_tx(
                "create_connect_session",
                async |conn: &mut Conn| -> Result<(), StoreError> {
                    let new = NewSession {
                        id,
                        subject,
                        return_url: return_url.as_str(),
                        connect_token_hash: &hash,
                        now,
                        expires_at,
                    };
                    sessions::insert(conn, new).await?;
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

    /// A browser opens the connect URL: new state, cookie and verifier, and those of an earlier start are void.
    pub async fn start_session(&self, connect_token: &str) -> Result<StartedSession, LinkingError> {
        let parts = &self.parts;
        let rng = parts.ids.rng().as_ref();
        let region_key = parts.vault.key(&KeyScope::Region).await?;
        let (state, cookie) = (token::generate(rng), token::generate(rng));
        let verifier = PkceVerifier::generate(rng);
        let now = self.now();
        let handle = token::hash(connect_token);
        let (id, expires_at) = parts
            .db
            .run_tx(
                "start_connect_session",
                async |conn: &mut Conn| -> Result<_, LinkingError> {
                    let session = sessions::lock(conn, Handle::ConnectToken(&handle))
                        .await?
                        .ok_or(LinkingError::UnknownSession)?;
                    if let Some(error) = session.over(now) {
                        return Err(error);
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
        METRICS.session("started", "");
        let authorize_url = parts.oauth.authorize_url(&state, &verifier.challenge());
        Ok(StartedSession {
            id,
            cookie,
            authorize_url: Secret::new(authorize_url.to_string()),
            life: expires_at - now,
        })
    }

    /// Zoom sent the browser back. State and cookie are spent whatever comes of it. Gives the URL to return to, with the
    /// ticket in it.
    pub async fn receive(
        &self,
        state: &str,
        cookie_of: impl Fn(ConnectSessionId) -> Option<String> + Send + Sync,
        returned: Returned,
    ) -> Result<Secret<String>, LinkingError> {
        let parts = &self.parts;
        let region_key = parts.vault.key(&KeyScope::Region).await?;
        let ticket = self.new_ticket();
        let now = self.now();
        let handle = token::hash(state);
        let return_url = parts
            .db
            .run_tx(
                "receive_code",
                async |conn: &mut Conn| -> Result<Step<String>, LinkingError> {
                    let Some(session) = sessions::lock(conn, Handle::State(&handle)).await? else {
                        return Err(LinkingError::UnknownSession);
                    };
                    let same_browser = match (cookie_of(session.id), &session.cookie_hash) {
                        (Some(cookie), Some(hash)) => token::matches(&cookie, hash),
                        _ => false,
                    };
                    let reason = match &returned {
                        _ if session.expires_at <= now => Some(RefusalReason::Expired),
                        _ if !same_browser => Some(RefusalReason::BrowserMismatch),
                        Returned::Denied => Some(RefusalReason::ConsentDenied),
                        Returned::Code(_) => None,
                    };
                    if let Some(reason) = reason {
                        return refuse(conn, &session, reason, now).await;
                    }
                    if let Returned::Code(code) = &returned {
                        let status = session.status.receive_code()?;
                        let sealed =
                            region_key.seal(Place::new(TABLE, CODE, session.id), code.expose().as_bytes())?;
                        let ticket_hash = token::hash(ticket.expose());
                        sessions::await_confirmation(conn, session.id, status, &sealed, &ticket_hash).await?;
                    }
                    Ok(Step::Done(session.return_url))
                },
            )
            .await?
            .into_result()?;
        METRICS.session("awaiting_confirmation", "");
        let mut url = Url::parse(&return_url).map_err(|_| {
            LinkingError::Store(StoreError::Corrupt {
                column: "connect_sessions.return_url",
            })
        })?;
        url.query_pairs_mut().append_pair("ticket", ticket.expose());
        Ok(Secret::new(url.into()))
    }

    /// A ticket names its region, so that another region can say where it belongs.
    fn new_ticket(&self) -> Secret<String> {
        let random = token::generate(self.parts.ids.rng().as_ref());
        Secret::new(format!("{}.{}", self.parts.settings.region_id, random.expose()))
    }

    /// Takes the code for one exchange if the subject is the one that began (INV-6); any other subject ends the session.
    pub(crate) async fn claim(&self, ticket: &str, subject: &Subject) -> Result<Claim, LinkingError> {
        let handle = token::hash(ticket);
        let now = self.now();
        self.parts
            .db
            .run_tx(
                "claim_code",
                async |conn: &mut Conn| -> Result<Step<Claim>, LinkingError> {
                    let Some(session) = sessions::lock(conn, Handle::Ticket(&handle)).await? else {
                        return Err(LinkingError::UnknownSession);
                    };
                    if session.status != ConnectSessionStatus::AwaitingConfirmation {
                        return Err(session.over(now).unwrap_or(LinkingError::Used));
                    }
                    if session.expires_at <= now {
                        return refuse(conn, &session, RefusalReason::Expired, now).await;
                    }
                    if session.subject != *subject {
                        return refuse(conn, &session, RefusalReason::SubjectMismatch, now).await;
                    }
                    sessions::take_code(conn, session.id, session.status.confirm()?).await?;
                    match (session.code_sealed, session.pkce_verifier_sealed) {
                        (Some(code_sealed), Some(verifier_sealed)) => Ok(Step::Done(Claim {
                            id: session.id,
                            subject: session.subject,
                            code_sealed,
                            verifier_sealed,
                        })),
                        _ => Err(StoreError::Corrupt {
                            column: "connect_sessions.code_sealed",
                        }
                        .into()),
                    }
                },
            )
            .await?
            .into_result()
    }

    /// Opens what a claim took.
    pub(crate) async fn open_claim(
        &self,
        claim: &Claim,
    ) -> Result<(Secret<String>, PkceVerifier), LinkingError> {
        let vault = &self.parts.vault;
        let code = vault
            .open_text(Place::new(TABLE, CODE, claim.id), &claim.code_sealed)
            .await?;
        let verifier = vault
            .open_text(Place::new(TABLE, VERIFIER, claim.id), &claim.verifier_sealed)
            .await?;
        Ok((code, PkceVerifier::from_secret(verifier)))
    }

    /// The code never reached Zoom: the app may confirm again.
    pub(crate) async fn give_back(&self, claim: &Claim) -> Result<(), LinkingError> {
        self.parts
            .db
            .run_tx(
                "give_code_back",
                async |conn: &mut Conn| -> Result<(), LinkingError> {
                    let Some(session) = sessions::lock(conn, Handle::Id(claim.id)).await? else {
                        return Ok(());
                    };
                    let status = session.status.give_code_back()?;
                    Ok(sessions::give_code_back(
                        conn,
                        claim.id,
                        status,
                        &claim.code_sealed,
                        &claim.verifier_sealed,
                    )
                    .await?)
                },
            )
            .await
    }

    /// Ends a session that is being confirmed without a link.
    pub(crate) async fn refuse_claim(
        &self,
        claim: &Claim,
        reason: RefusalReason,
    ) -> Result<(), LinkingError> {
        let now = self.now();
        self.parts
            .db
            .run_tx(
                "refuse_connect_session",
                async |conn: &mut Conn| -> Result<(), LinkingError> {
                    match sessions::lock(conn, Handle::Id(claim.id)).await? {
                        Some(session) if session.status == ConnectSessionStatus::Confirming => {
                            refuse::<()>(conn, &session, reason, now).await.map(drop)
                        }
                        _ => Ok(()),
                    }
                },
            )
            .await
    }
}

impl Session {
    /// Why nothing can be done with it any more, if so.
    pub(crate) fn over(&self, now: Timestamp) -> Option<LinkingError> {
        match (self.status, self.refusal_reason) {
            (_, Some(RefusalReason::Expired)) => Some(LinkingError::Expired),
            (ConnectSessionStatus::Refused, Some(reason)) => Some(LinkingError::Refused(reason)),
            (ConnectSessionStatus::Completed | ConnectSessionStatus::Confirming, _) => {
                Some(LinkingError::Used)
            }
            _ if self.expires_at <= now => Some(LinkingError::Expired),
            _ => None,
        }
    }
}

/// Ends the session and says so; the caller's transaction commits.
async fn refuse<T>(
    conn: &mut Conn,
    session: &Session,
    reason: RefusalReason,
    now: Timestamp,
) -> Result<Step<T>, LinkingError> {
    sessions::refuse(conn, session.id, session.status.refuse()?, reason, now).await?;
    METRICS.session("refused", domicile_kernel::state::TextState::as_str(reason));
    info!(
        connect_session.id = %session.id,
        reason = domicile_kernel::state::TextState::as_str(reason),
        "a connect session was refused"
    );
    Ok(Step::Failed(match reason {
        RefusalReason::Expired => LinkingError::Expired,
        reason => LinkingError::Refused(reason),
    }))
}
