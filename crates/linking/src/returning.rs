//! The browser comes back from Zoom.

use domicile_kernel::state::RefusalReason;
use domicile_kernel::{ConnectSessionId, Secret};
use domicile_store::audit::{Actor, AuditEntry};
use domicile_store::{Conn, StoreError};
use domicile_vault::Place;
use url::Url;

use crate::claim::Claim;
use crate::error::LinkingError;
use crate::identity::Presence;
use crate::link::Link;
use crate::linking::Linking;
use crate::metrics::METRICS;
use crate::refusal::{Refusal, Refusing};
use crate::sessions::{CODE, Step, TABLE};
use crate::store::sessions::{self, Handle, Session};
use crate::token;

/// What Zoom sent the browser back with.
pub enum Returned {
    /// The user agreed.
    Code(Secret<String>),
    /// The user or an administrator refused.
    Denied,
}

enum Kept {
    Ticket(String),
    Claim(Claim, String),
}

impl Linking {
    /// Zoom sent the browser back. State and cookie are spent whatever comes of it. Gives the URL to return to: with a
    /// ticket in it for the app to confirm, or, where the browser itself says who sits there, with the id of the link that is
    /// active by then (INV-6).
    pub async fn receive(
        &self,
        state: &str,
        cookie_of: impl Fn(ConnectSessionId) -> Option<String> + Send + Sync,
        returned: Returned,
        presence: &Presence,
    ) -> Result<Secret<String>, LinkingError> {
        if let Some(error) = self.elsewhere(state) {
            self.audit_return("other_region").await;
            return Err(error);
        }
        let ticket = token::generate(&self.parts.settings.region_id, self.parts.ids.rng().as_ref());
        let handle = token::hash(state);
        let with = self.refusing(Actor::Browser).await?;
        let kept = self
            .parts
            .db
            .run_tx(
                "receive_code",
                async |conn: &mut Conn| -> Result<Step<Kept>, LinkingError> {
                    let Some(session) = sessions::lock(conn, Handle::State(&handle)).await? else {
                        return Err(LinkingError::UnknownSession);
                    };
                    // Found by its hash; compared whole all the same, without telling by time where it differs.
                    if !session.has_state(&handle) {
                        return Err(LinkingError::UnknownSession);
                    }
                    if let Some(reason) = objection(&session, &cookie_of, &returned, presence, &with) {
                        let refused = self.refuse_return(conn, &session, reason, &with).await?;
                        // The same end, with words that lead the person to the right region.
                        return Ok(
                            match cookie_of(session.id).and_then(|cookie| self.elsewhere(&cookie)) {
                                Some(error) => Step::Failed(error),
                                None => refused,
                            },
                        );
                    }
                    let Returned::Code(code) = &returned else {
                        return self
                            .refuse_return(conn, &session, RefusalReason::ConsentDenied, &with)
                            .await;
                    };
                    let sealed = with
                        .key
                        .seal(Place::new(TABLE, CODE, session.id), code.expose().as_bytes())?;
                    AuditEntry::done(Actor::Browser, "connect_session.return")
                        .subject(&session.subject)
                        .connect_session(session.id)
                        .write(conn, &self.parts.ids)
                        .await?;
                    match presence {
                        Presence::Unasked => {
                            let status = session.status.receive_code()?;
                            let hash = token::hash(ticket.expose());
                            sessions::await_confirmation(conn, session.id, status, &sealed, &hash).await?;
                            Ok(Step::Done(Kept::Ticket(session.return_url)))
                        }
                        Presence::Absent | Presence::Session(_) => {
                            let status = session.status.confirm_at_return()?;
                            sessions::take_code(conn, session.id, status).await?;
                            let return_url = session.return_url.clone();
                            let claim = Claim::of(session, sealed, None, Actor::Browser)?;
                            Ok(Step::Done(Kept::Claim(claim, return_url)))
                        }
                    }
                },
            )
            .await
            .and_then(Step::into_result);
        match kept {
            Ok(Kept::Ticket(url)) => {
                METRICS.session("awaiting_confirmation", "");
                returning(&url, "ticket", ticket.expose())
            }
            Ok(Kept::Claim(claim, url)) => {
                let link: Link = self.finish_claim(claim).await?;
                returning(&url, "link_id", &link.id.to_string())
            }
            Err(error) => {
                if matches!(error, LinkingError::UnknownSession) {
                    self.audit_return("unknown_state").await;
                }
                Err(error)
            }
        }
    }

    async fn refuse_return<T>(
        &self,
        conn: &mut Conn,
        session: &Session,
        reason: RefusalReason,
        with: &Refusing,
    ) -> Result<Step<T>, LinkingError> {
        let refusal = Refusal::from(reason);
        self.refuse_in(conn, session, &refusal, with).await?;
        Ok(Step::Failed(match reason {
            RefusalReason::Expired => LinkingError::Expired,
            _ => LinkingError::Refused(refusal),
        }))
    }
}

/// Why this browser may not bring a code, if so.
fn objection(
    session: &Session,
    cookie_of: &(impl Fn(ConnectSessionId) -> Option<String> + Send + Sync),
    returned: &Returned,
    presence: &Presence,
    with: &Refusing,
) -> Option<RefusalReason> {
    let same_browser = match (cookie_of(session.id), &session.cookie_hash) {
        (Some(cookie), Some(hash)) => token::matches(&cookie, hash),
        _ => false,
    };
    match returned {
        _ if session.expires_at <= with.now => Some(RefusalReason::Expired),
        _ if !same_browser => Some(RefusalReason::BrowserMismatch),
        Returned::Denied => Some(RefusalReason::ConsentDenied),
        Returned::Code(_) => presence.objection(&session.subject),
    }
}

/// The app's URL with one more parameter; the existing query stays.
fn returning(return_url: &str, name: &str, value: &str) -> Result<Secret<String>, LinkingError> {
    let mut url = Url::parse(return_url).map_err(|_| StoreError::Corrupt {
        column: "connect_sessions.return_url",
    })?;
    url.query_pairs_mut().append_pair(name, value);
    Ok(Secret::new(url.into()))
}
