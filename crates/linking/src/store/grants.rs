//! `grants`.

use diesel::dsl::{case_when, count_star};
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use domicile_kernel::state::{GrantState, TextState};
use domicile_kernel::{LeaseToken, LinkId, Timestamp, ZoomAccountId};
use domicile_store::schema::grants as t;
use domicile_store::schema::links;
use domicile_store::{Conn, StoreError, parse_state};
use uuid::Uuid;

use crate::grants::schedule::Times;

/// Tokens as their row holds them, sealed.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = t, check_for_backend(diesel::pg::Pg))]
pub(crate) struct SealedGrant {
    pub(crate) access_token_sealed: Vec<u8>,
    pub(crate) refresh_token_sealed: Option<Vec<u8>>,
    pub(crate) access_expires_at: Timestamp,
    pub(crate) api_url: String,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = t, check_for_backend(diesel::pg::Pg))]
struct Row {
    #[diesel(embed)]
    tokens: SealedGrant,
    generation: i64,
    refreshed_at: Timestamp,
    state: String,
    refresh_lease_token: Option<Uuid>,
    refresh_lease_expires_at: Option<Timestamp>,
    refresh_started_at: Option<Timestamp>,
    refresh_failures: i32,
    refresh_not_before: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

/// A grant as its row holds it.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) tokens: SealedGrant,
    /// Counts the pairs; the fencing number of all that is written about one of them.
    pub(crate) generation: i64,
    pub(crate) state: GrantState,
    pub(crate) refreshed_at: Timestamp,
    pub(crate) last_used_at: Option<Timestamp>,
    /// Who asks Zoom for the next pair, and until when it alone may.
    pub(crate) lease: Option<(LeaseToken, Timestamp)>,
    /// Whether a request was begun whose end is not written.
    pub(crate) asking: bool,
    pub(crate) failures: u32,
    pub(crate) not_before: Option<Timestamp>,
}

impl Grant {
    pub(crate) fn times(&self) -> Times {
        Times {
            refreshed_at: self.refreshed_at,
            access_expires_at: self.tokens.access_expires_at,
            last_used_at: self.last_used_at,
            refreshable: self.tokens.refresh_token_sealed.is_some(),
        }
    }

    /// Whether the job has to refresh it: its time has come, or the last refresh left something to clear up.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let abandoned = self.asking && self.held_until(now).is_none();
        self.state == GrantState::Unsure || self.failures > 0 || abandoned || self.times().is_due(now)
    }

    /// Until when somebody else may be asking Zoom.
    pub(crate) fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let (_, expires_at) = self.lease?;
        (expires_at > now).then_some(expires_at)
    }
}

impl TryFrom<Row> for Grant {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            tokens: row.tokens,
            generation: row.generation,
            state: parse_state("grants.state", &row.state)?,
            refreshed_at: row.refreshed_at,
            last_used_at: row.last_used_at,
            lease: row
                .refresh_lease_token
                .map(LeaseToken::from)
                .zip(row.refresh_lease_expires_at),
            asking: row.refresh_started_at.is_some(),
            failures: u32::try_from(row.refresh_failures).unwrap_or(0),
            not_before: row.refresh_not_before,
        })
    }
}

pub(crate) async fn get(conn: &mut Conn, link: LinkId) -> Result<Option<Grant>, StoreError> {
    let row: Option<Row> = t::table
        .select(Row::as_select())
        .filter(t::link_id.eq(link.as_uuid()))
        .first(conn)
        .await
        .optional()?;
    row.map(Grant::try_from).transpose()
}

/// Writes the tokens of a new authorization over whatever was there. A lease stays: its holder may still be asking Zoom,
/// and finds the generation changed.
pub(crate) async fn put(
    conn: &mut Conn,
    link: LinkId,
    grant: &SealedGrant,
    now: Timestamp,
) -> Result<(), StoreError> {
    let values = (
        t::access_token_sealed.eq(&grant.access_token_sealed),
        t::refresh_token_sealed.eq(grant.refresh_token_sealed.as_ref()),
        t::access_expires_at.eq(grant.access_expires_at),
        t::api_url.eq(&grant.api_url),
        t::refreshed_at.eq(now),
        t::state.eq(GrantState::Fresh.as_str()),
        t::refresh_started_at.eq(None::<Timestamp>),
        t::refresh_failures.eq(0),
        t::refresh_not_before.eq(None::<Timestamp>),
    );
    diesel::insert_into(t::table)
        .values((t::link_id.eq(link.as_uuid()), t::generation.eq(1), values))
        .on_conflict(t::link_id)
        .do_update()
        .set((values, t::generation.eq(t::generation + 1)))
        .execute(conn)
        .await?;
    Ok(())
}

/// The right to ask Zoom for the pair that follows one generation.
#[derive(Clone, Copy)]
pub(crate) struct RefreshLease {
    pub(crate) token: LeaseToken,
    pub(crate) generation: i64,
    pub(crate) expires_at: Timestamp,
}

/// Takes the lease, if nobody holds it and the generation is still this one. A request that a dead process left behind has
/// lost its answer.
pub(crate) async fn take_lease(
    conn: &mut Conn,
    link: LinkId,
    lease: &RefreshLease,
    now: Timestamp,
) -> Result<Option<Grant>, StoreError> {
    let state = case_when(
        t::refresh_started_at.is_not_null(),
        GrantState::Unsure.as_str().into_sql::<Text>(),
    )
    .otherwise(t::state);
    let row: Option<Row> = diesel::update(
        t::table
            .filter(t::link_id.eq(link.as_uuid()))
            .filter(t::generation.eq(lease.generation))
            .filter(t::state.ne(GrantState::Ended.as_str()))
            .filter(
                t::refresh_lease_expires_at
                    .is_null()
                    .or(t::refresh_lease_expires_at.le(now)),
            ),
    )
    .set((
        t::state.eq(state),
        t::refresh_lease_token.eq(lease.token.as_uuid()),
        t::refresh_lease_expires_at.eq(lease.expires_at),
        t::refresh_started_at.eq(now),
    ))
    .returning(Row::as_returning())
    .get_result(conn)
    .await
    .optional()?;
    row.map(Grant::try_from).transpose()
}

macro_rules! held {
    ($link:expr, $lease:expr) => {
        t::table
            .filter(t::link_id.eq($link.as_uuid()))
            .filter(t::generation.eq($lease.generation))
            .filter(t::refresh_lease_token.eq($lease.token.as_uuid()))
    };
}

type NoLease = (
    diesel::dsl::Eq<t::refresh_lease_token, Option<Uuid>>,
    diesel::dsl::Eq<t::refresh_lease_expires_at, Option<Timestamp>>,
    diesel::dsl::Eq<t::refresh_started_at, Option<Timestamp>>,
);

fn no_lease() -> NoLease {
    (
        t::refresh_lease_token.eq(None::<Uuid>),
        t::refresh_lease_expires_at.eq(None::<Timestamp>),
        t::refresh_started_at.eq(None::<Timestamp>),
    )
}

/// Writes the pair that follows the lease's generation; false if another pair follows it already. The generation alone
/// decides: Zoom gives one successor, so whoever has it must be able to keep it, however late. A lease that another
/// has taken meanwhile stays his.
pub(crate) async fn rotate(
    conn: &mut Conn,
    link: LinkId,
    lease: &RefreshLease,
    grant: &SealedGrant,
    used_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mine = || t::refresh_lease_token.eq(lease.token.as_uuid());
    let token =
        case_when(mine(), None::<Uuid>.into_sql::<Nullable<SqlUuid>>()).otherwise(t::refresh_lease_token);
    let expires_at = case_when(mine(), None::<Timestamp>.into_sql::<Nullable<Timestamptz>>())
        .otherwise(t::refresh_lease_expires_at);
    let used_at = used_at.into_sql::<Nullable<Timestamptz>>();
    let rows = diesel::update(
        t::table
            .filter(t::link_id.eq(link.as_uuid()))
            .filter(t::generation.eq(lease.generation))
            .filter(t::state.ne(GrantState::Ended.as_str())),
    )
    .set((
        t::access_token_sealed.eq(&grant.access_token_sealed),
        t::refresh_token_sealed.eq(grant.refresh_token_sealed.as_ref()),
        t::access_expires_at.eq(grant.access_expires_at),
        t::api_url.eq(&grant.api_url),
        t::generation.eq(lease.generation + 1),
        t::refreshed_at.eq(now),
        t::state.eq(GrantState::Fresh.as_str()),
        (
            t::refresh_lease_token.eq(token),
            t::refresh_lease_expires_at.eq(expires_at),
            t::refresh_started_at.eq(None::<Timestamp>),
            t::refresh_failures.eq(0),
            t::refresh_not_before.eq(None::<Timestamp>),
            t::last_used_at.eq(coalesce(used_at, t::last_used_at)),
        ),
    ))
    .execute(conn)
    .await?;
    Ok(rows == 1)
}

#[diesel::declare_sql_function]
extern "SQL" {
    fn coalesce(first: Nullable<Timestamptz>, second: Nullable<Timestamptz>) -> Nullable<Timestamptz>;
}

/// Writes that a refresh brought no pair, and gives the lease back; false if it was lost.
pub(crate) async fn fail(
    conn: &mut Conn,
    link: LinkId,
    lease: &RefreshLease,
    state: GrantState,
    not_before: Timestamp,
) -> Result<bool, StoreError> {
    let rows = diesel::update(held!(link, lease))
        .set((
            t::state.eq(state.as_str()),
            t::refresh_failures.eq(t::refresh_failures + 1),
            t::refresh_not_before.eq(not_before),
            no_lease(),
        ))
        .execute(conn)
        .await?;
    Ok(rows == 1)
}

/// Writes that Zoom ended the grant; false if the lease was lost or a new authorization came.
pub(crate) async fn end(conn: &mut Conn, link: LinkId, lease: &RefreshLease) -> Result<bool, StoreError> {
    let rows = diesel::update(held!(link, lease))
        .set((t::state.eq(GrantState::Ended.as_str()), no_lease()))
        .execute(conn)
        .await?;
    Ok(rows == 1)
}

/// Gives the lease back, whatever generation has come since; false if another has taken it.
pub(crate) async fn release(conn: &mut Conn, link: LinkId, token: LeaseToken) -> Result<bool, StoreError> {
    let rows = diesel::update(
        t::table
            .filter(t::link_id.eq(link.as_uuid()))
            .filter(t::refresh_lease_token.eq(token.as_uuid())),
    )
    .set(no_lease())
    .execute(conn)
    .await?;
    Ok(rows == 1)
}

/// Writes the first use of an access token; false if it is written already or there is a newer token.
pub(crate) async fn mark_used(
    conn: &mut Conn,
    link: LinkId,
    generation: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let rows = diesel::update(
        t::table
            .filter(t::link_id.eq(link.as_uuid()))
            .filter(t::generation.eq(generation))
            .filter(
                t::last_used_at
                    .is_null()
                    .or(t::last_used_at.assume_not_null().lt(t::refreshed_at)),
            ),
    )
    .set(t::last_used_at.eq(now))
    .execute(conn)
    .await?;
    Ok(rows == 1)
}

/// How many grants are in each state but the good one, which would take a walk through the table.
pub(crate) async fn count_troubled(conn: &mut Conn) -> Result<Vec<(GrantState, i64)>, StoreError> {
    let rows: Vec<(String, i64)> = t::table
        .group_by(t::state)
        .select((t::state, count_star()))
        .filter(t::state.ne(GrantState::Fresh.as_str()))
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|(state, count)| Ok((parse_state("grants.state", &state)?, count)))
        .collect()
}

/// How many grants there are.
pub(crate) async fn count(conn: &mut Conn) -> Result<i64, StoreError> {
    Ok(t::table.count().get_result(conn).await?)
}

/// A grant whose link has ended, as far as erasure needs it.
pub(crate) struct EndedGrant {
    pub(crate) link: LinkId,
    pub(crate) tokens: SealedGrant,
    pub(crate) generation: i64,
    lease_expires_at: Option<Timestamp>,
}

impl EndedGrant {
    /// Until when somebody may be asking Zoom for the pair that follows.
    pub(crate) fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.lease_expires_at.filter(|expires_at| *expires_at > now)
    }
}

/// The grants that are left of an account's links that have ended.
pub(crate) async fn of_ended_links(
    conn: &mut Conn,
    account: &ZoomAccountId,
) -> Result<Vec<EndedGrant>, StoreError> {
    let rows: Vec<(Uuid, SealedGrant, i64, Option<Timestamp>)> = t::table
        .inner_join(links::table)
        .select((
            t::link_id,
            SealedGrant::as_select(),
            t::generation,
            t::refresh_lease_expires_at,
        ))
        .filter(links::zoom_account_id.eq(account.as_str()))
        .filter(links::status.eq("revoked"))
        .load(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(link, tokens, generation, lease_expires_at)| EndedGrant {
            link: link.into(),
            tokens,
            generation,
            lease_expires_at,
        })
        .collect())
}

/// Writes the same tokens, sealed anew; false if there are others by now, or may be soon, or the grant is gone. The generation counts on, so
/// that whoever read the former ciphertext writes nothing about it.
pub(crate) async fn put_anew(
    conn: &mut Conn,
    link: LinkId,
    generation: i64,
    grant: &SealedGrant,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let rows = diesel::update(
        t::table
            .filter(t::link_id.eq(link.as_uuid()))
            .filter(t::generation.eq(generation))
            .filter(
                t::refresh_lease_expires_at
                    .is_null()
                    .or(t::refresh_lease_expires_at.le(now)),
            ),
    )
    .set((
        t::access_token_sealed.eq(&grant.access_token_sealed),
        t::refresh_token_sealed.eq(grant.refresh_token_sealed.as_ref()),
        t::generation.eq(generation + 1),
    ))
    .execute(conn)
    .await?;
    Ok(rows == 1)
}

/// Deletes the tokens of a link.
pub(crate) async fn delete(conn: &mut Conn, link: LinkId) -> Result<(), StoreError> {
    diesel::delete(t::table.filter(t::link_id.eq(link.as_uuid())))
        .execute(conn)
        .await?;
    Ok(())
}
