//! `connect_sessions`.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::state::{ConnectSessionStatus, RefusalReason, TextState};
use domicile_kernel::{ConnectSessionId, LinkId, Subject, Timestamp};
use domicile_store::schema::connect_sessions as t;
use domicile_store::{Conn, StoreError, one_row, parse_state};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// A session as a row that is locked for the rest of the transaction.
pub(crate) struct Session {
    pub(crate) id: ConnectSessionId,
    pub(crate) subject: Subject,
    pub(crate) return_url: String,
    pub(crate) replace: bool,
    pub(crate) status: ConnectSessionStatus,
    state_hash: Option<Vec<u8>>,
    pub(crate) cookie_hash: Option<Vec<u8>>,
    pub(crate) pkce_verifier_sealed: Option<Vec<u8>>,
    pub(crate) code_sealed: Option<Vec<u8>>,
    pub(crate) refusal_reason: Option<RefusalReason>,
    pub(crate) expires_at: Timestamp,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = t, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: Uuid,
    subject: String,
    return_url: String,
    replace_existing: bool,
    status: String,
    state_hash: Option<Vec<u8>>,
    cookie_hash: Option<Vec<u8>>,
    pkce_verifier_sealed: Option<Vec<u8>>,
    code_sealed: Option<Vec<u8>>,
    refusal_reason: Option<String>,
    expires_at: Timestamp,
}

impl TryFrom<Row> for Session {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            subject: super::subject("connect_sessions.subject", row.subject)?,
            return_url: row.return_url,
            replace: row.replace_existing,
            status: parse_state("connect_sessions.status", &row.status)?,
            state_hash: row.state_hash,
            cookie_hash: row.cookie_hash,
            pkce_verifier_sealed: row.pkce_verifier_sealed,
            code_sealed: row.code_sealed,
            refusal_reason: row
                .refusal_reason
                .map(|reason| parse_state("connect_sessions.refusal_reason", &reason))
                .transpose()?,
            expires_at: row.expires_at,
        })
    }
}

impl Session {
    /// True when the state with this hash belongs to the latest start, in constant time.
    pub(crate) fn has_state(&self, hash: &[u8]) -> bool {
        self.state_hash
            .as_deref()
            .is_some_and(|kept| bool::from(kept.ct_eq(hash)))
    }
}

/// What identifies a session to its bearer.
pub(crate) enum Handle<'a> {
    ConnectToken(&'a [u8]),
    State(&'a [u8]),
    Ticket(&'a [u8]),
    Id(ConnectSessionId),
}

/// Finds a session and locks it, so that each of its secrets is used once.
pub(crate) async fn lock(conn: &mut Conn, handle: Handle<'_>) -> Result<Option<Session>, StoreError> {
    let all = t::table.select(Row::as_select());
    let row: Option<Row> = match handle {
        Handle::ConnectToken(hash) => {
            all.filter(t::connect_token_hash.eq(hash))
                .for_update()
                .first(conn)
                .await
        }
        Handle::State(hash) => all.filter(t::state_hash.eq(hash)).for_update().first(conn).await,
        Handle::Ticket(hash) => all.filter(t::ticket_hash.eq(hash)).for_update().first(conn).await,
        Handle::Id(id) => all.filter(t::id.eq(id.as_uuid())).for_update().first(conn).await,
    }
    .optional()?;
    row.map(Session::try_from).transpose()
}

/// Finds the session of a connect token without locking it, to say whose it is.
pub(crate) async fn of_connect_token(conn: &mut Conn, hash: &[u8]) -> Result<Option<Session>, StoreError> {
    let row: Option<Row> = t::table
        .select(Row::as_select())
        .filter(t::connect_token_hash.eq(hash))
        .first(conn)
        .await
        .optional()?;
    row.map(Session::try_from).transpose()
}

pub(crate) struct NewSession<'a> {
    pub(crate) id: ConnectSessionId,
    pub(crate) subject: &'a Subject,
    pub(crate) return_url: &'a str,
    pub(crate) replace: bool,
    pub(crate) connect_token_hash: &'a [u8],
    pub(crate) now: Timestamp,
    pub(crate) expires_at: Timestamp,
}

pub(crate) async fn insert(conn: &mut Conn, new: NewSession<'_>) -> Result<(), StoreError> {
    diesel::insert_into(t::table)
        .values((
            t::id.eq(new.id.as_uuid()),
            t::subject.eq(new.subject.as_str()),
            t::return_url.eq(new.return_url),
            t::replace_existing.eq(new.replace),
            t::status.eq(ConnectSessionStatus::Created.as_str()),
            t::connect_token_hash.eq(new.connect_token_hash),
            t::created_at.eq(new.now),
            t::expires_at.eq(new.expires_at),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// A start: the secrets of the one before it are replaced.
pub(crate) struct Started {
    pub(crate) status: ConnectSessionStatus,
    pub(crate) state_hash: Vec<u8>,
    pub(crate) cookie_hash: Vec<u8>,
    pub(crate) pkce_verifier_sealed: Vec<u8>,
    pub(crate) now: Timestamp,
}

pub(crate) async fn start(conn: &mut Conn, id: ConnectSessionId, new: &Started) -> Result<(), StoreError> {
    let rows = diesel::update(t::table.filter(t::id.eq(id.as_uuid())))
        .set((
            t::status.eq(new.status.as_str()),
            t::state_hash.eq(&new.state_hash),
            t::cookie_hash.eq(&new.cookie_hash),
            t::pkce_verifier_sealed.eq(&new.pkce_verifier_sealed),
            t::started_at.eq(new.now),
        ))
        .execute(conn)
        .await?;
    one_row("start a connect session", rows)
}

/// Takes the code in and spends state and cookie.
pub(crate) async fn await_confirmation(
    conn: &mut Conn,
    id: ConnectSessionId,
    status: ConnectSessionStatus,
    code_sealed: &[u8],
    ticket_hash: &[u8],
) -> Result<(), StoreError> {
    let rows = diesel::update(t::table.filter(t::id.eq(id.as_uuid())))
        .set((
            t::status.eq(status.as_str()),
            t::state_hash.eq(None::<Vec<u8>>),
            t::cookie_hash.eq(None::<Vec<u8>>),
            t::code_sealed.eq(code_sealed),
            t::ticket_hash.eq(ticket_hash),
        ))
        .execute(conn)
        .await?;
    one_row("keep a code", rows)
}

/// Takes code and verifier out of the row, and spends state and cookie: from here on only the caller has them.
pub(crate) async fn take_code(
    conn: &mut Conn,
    id: ConnectSessionId,
    status: ConnectSessionStatus,
) -> Result<(), StoreError> {
    let rows = diesel::update(t::table.filter(t::id.eq(id.as_uuid())))
        .set((
            t::status.eq(status.as_str()),
            t::state_hash.eq(None::<Vec<u8>>),
            t::cookie_hash.eq(None::<Vec<u8>>),
            t::code_sealed.eq(None::<Vec<u8>>),
            t::pkce_verifier_sealed.eq(None::<Vec<u8>>),
        ))
        .execute(conn)
        .await?;
    one_row("take a code", rows)
}

/// Puts code and verifier back, sealed as they were.
pub(crate) async fn give_code_back(
    conn: &mut Conn,
    id: ConnectSessionId,
    status: ConnectSessionStatus,
    code_sealed: &[u8],
    pkce_verifier_sealed: &[u8],
) -> Result<(), StoreError> {
    let rows = diesel::update(t::table.filter(t::id.eq(id.as_uuid())))
        .set((
            t::status.eq(status.as_str()),
            t::code_sealed.eq(code_sealed),
            t::pkce_verifier_sealed.eq(pkce_verifier_sealed),
        ))
        .execute(conn)
        .await?;
    one_row("give a code back", rows)
}

pub(crate) async fn complete(
    conn: &mut Conn,
    id: ConnectSessionId,
    status: ConnectSessionStatus,
    link: LinkId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = diesel::update(t::table.filter(t::id.eq(id.as_uuid())))
        .set((
            t::status.eq(status.as_str()),
            t::link_id.eq(link.as_uuid()),
            t::finished_at.eq(now),
        ))
        .execute(conn)
        .await?;
    one_row("complete a connect session", rows)
}

/// Ends a session without a link and destroys every secret in it but the ticket's hash.
pub(crate) async fn refuse(
    conn: &mut Conn,
    id: ConnectSessionId,
    status: ConnectSessionStatus,
    reason: RefusalReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = diesel::update(t::table.filter(t::id.eq(id.as_uuid())))
        .set((
            t::status.eq(status.as_str()),
            t::refusal_reason.eq(reason.as_str()),
            t::state_hash.eq(None::<Vec<u8>>),
            t::cookie_hash.eq(None::<Vec<u8>>),
            t::code_sealed.eq(None::<Vec<u8>>),
            t::pkce_verifier_sealed.eq(None::<Vec<u8>>),
            t::finished_at.eq(now),
        ))
        .execute(conn)
        .await?;
    one_row("refuse a connect session", rows)
}
