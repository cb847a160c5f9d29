//! The code and its verifier, taken out of the row for one exchange.

use domicile_kernel::state::{ConnectSessionStatus, RefusalReason, TextState};
use domicile_kernel::{ConnectSessionId, Secret, Subject};
use domicile_store::audit::{Actor, AuditEntry};
use domicile_store::{Conn, StoreError};
use domicile_vault::Place;
use domicile_zoom::oauth::PkceVerifier;

use crate::error::LinkingError;
use crate::linking::Linking;
use crate::refusal::{Refusal, Refusing};
use crate::sessions::{CODE, Step, TABLE, VERIFIER};
use crate::store::sessions::{self, Handle, Session};
use crate::token;

/// A session that is being confirmed; only its holder has the code.
pub(crate) struct Claim {
    pub(crate) id: ConnectSessionId,
    pub(crate) subject: Subject,
    pub(crate) replace: bool,
    /// Who confirmed.
    pub(crate) actor: Actor,
    code_sealed: Vec<u8>,
    verifier_sealed: Vec<u8>,
    /// The ticket with which the app may confirm again if the code never left; none where the browser itself is here.
    ticket_hash: Option<Vec<u8>>,
}

impl Claim {
    pub(crate) fn of(
        session: Session,
        code_sealed: Vec<u8>,
        ticket_hash: Option<Vec<u8>>,
        actor: Actor,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            id: session.id,
            subject: session.subject,
            replace: session.replace,
            actor,
            code_sealed,
            verifier_sealed: session.pkce_verifier_sealed.ok_or(StoreError::Corrupt {
                column: "connect_sessions.pkce_verifier_sealed",
            })?,
            ticket_hash,
        })
    }
}

impl Linking {
    /// Takes the code for one exchange if the subject is the one that began (INV-6); any other subject ends the session.
    pub(crate) async fn claim(
        &self,
        ticket: &str,
        subject: &Subject,
        actor: &Actor,
    ) -> Result<Claim, LinkingError> {
        let handle = token::hash(ticket);
        let claimed = match self.elsewhere(ticket) {
            Some(error) => Err(error),
            None => self.claim_in_tx(&handle, subject, actor).await,
        };
        if let Err(error) = &claimed
            && let Some(reason) = error.refused_step()
        {
            // The session's own subject has its entry already, if the session ended now; this one is of who tried.
            let entry =
                AuditEntry::refused(actor.clone(), "connect_session.confirm", reason).subject(subject);
            self.audit_refused(actor.clone(), entry).await;
        }
        claimed
    }

    async fn claim_in_tx(
        &self,
        handle: &[u8],
        subject: &Subject,
        actor: &Actor,
    ) -> Result<Claim, LinkingError> {
        let with = self.refusing(actor.clone()).await?;
        self.parts
            .db
            .run_tx(
                "claim_code",
                async |conn: &mut Conn| -> Result<Step<Claim>, LinkingError> {
                    let Some(session) = sessions::lock(conn, Handle::Ticket(handle)).await? else {
                        return Err(LinkingError::UnknownTicket);
                    };
                    if session.status != ConnectSessionStatus::AwaitingConfirmation {
                        return Err(session.over(with.now).unwrap_or(LinkingError::Used));
                    }
                    let refuse = async |conn: &mut Conn,
                                        reason: RefusalReason,
                                        error: LinkingError|
                           -> Result<Step<Claim>, LinkingError> {
                        self.refuse_in(conn, &session, &reason.into(), &with).await?;
                        Ok(Step::Failed(error))
                    };
                    if session.expires_at <= with.now {
                        return refuse(conn, RefusalReason::Expired, LinkingError::Expired).await;
                    }
                    if session.subject != *subject {
                        let reason = RefusalReason::SubjectMismatch;
                        return refuse(conn, reason, LinkingError::Refused(reason.into())).await;
                    }
                    let Some(code_sealed) = session.code_sealed.clone() else {
                        return Err(LinkingError::Store(StoreError::Corrupt {
                            column: "connect_sessions.code_sealed",
                        }));
                    };
                    sessions::take_code(conn, session.id, session.status.confirm()?).await?;
                    let claim = Claim::of(session, code_sealed, Some(handle.to_vec()), actor.clone())?;
                    Ok(Step::Done(claim))
                },
            )
            .await?
            .into_result()
    }

    /// The refusal of a token that names another region.
    pub(crate) fn elsewhere(&self, token: &str) -> Option<LinkingError> {
        let ours = &self.parts.settings.region_id;
        token::of_another_region(token, ours).map(|theirs| LinkingError::OtherRegion {
            theirs,
            ours: ours.clone(),
        })
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

    /// The code never reached Zoom. Where there is a ticket the app may confirm it again; else the session ends, because
    /// nobody could bring the code a second time.
    pub(crate) async fn give_back(&self, claim: &Claim) -> Result<(), LinkingError> {
        if claim.ticket_hash.is_none() {
            return self.refuse_claim(claim, &RefusalReason::Failed.into()).await;
        }
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
    pub(crate) async fn refuse_claim(&self, claim: &Claim, refusal: &Refusal) -> Result<(), LinkingError> {
        let with = self.refusing(claim.actor.clone()).await?;
        self.parts
            .db
            .run_tx(
                "refuse_connect_session",
                async |conn: &mut Conn| -> Result<(), LinkingError> {
                    self.refuse_claim_in(conn, claim, refusal, &with).await
                },
            )
            .await
    }

    /// The same as part of the caller's transaction.
    pub(crate) async fn refuse_claim_in(
        &self,
        conn: &mut Conn,
        claim: &Claim,
        refusal: &Refusal,
        with: &Refusing,
    ) -> Result<(), LinkingError> {
        match sessions::lock(conn, Handle::Id(claim.id)).await? {
            Some(session) if session.status == ConnectSessionStatus::Confirming => {
                self.refuse_in(conn, &session, refusal, with).await
            }
            _ => Ok(()),
        }
    }
}

impl LinkingError {
    /// The audit's word for a step that was refused without changing anything; none for a failure of ours or Zoom's.
    pub(crate) fn refused_step(&self) -> Option<&'static str> {
        match self {
            Self::UnknownSession => Some("unknown_session"),
            Self::UnknownTicket => Some("unknown_ticket"),
            Self::OtherRegion { .. } => Some("other_region"),
            Self::Expired => Some("expired"),
            Self::Used => Some("used"),
            Self::AnotherSubject => Some(RefusalReason::SubjectMismatch.as_str()),
            Self::NotSignedIn => Some(RefusalReason::NotSignedIn.as_str()),
            Self::Refused(refusal) => Some(refusal.reason.as_str()),
            _ => None,
        }
    }
}
