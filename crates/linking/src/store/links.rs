//! `links`.

use diesel::dsl::{exists, max, min, select};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::state::{LinkStatus, TextState};
use domicile_kernel::{LinkId, Subject, Timestamp, ZoomAccountId, ZoomUserId};
use domicile_store::schema::links as t;
use domicile_store::{Conn, StoreError, one_row, parse_state};
use uuid::Uuid;

use crate::desk::LinkSelection;
use crate::link::Link;

#[derive(Queryable, Selectable)]
#[diesel(table_name = t, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: Uuid,
    subject: String,
    zoom_account_id: String,
    zoom_user_id: Option<String>,
    zoom_cluster: Option<String>,
    status: String,
    reauthorization_reason: Option<String>,
    scopes: Vec<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TryFrom<Row> for Link {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let status = parse_state("links.status", &row.status)?;
        // An older version may have left a reason behind.
        let reason = row
            .reauthorization_reason
            .filter(|_| status == LinkStatus::NeedsReauthorization)
            .map(|reason| parse_state("links.reauthorization_reason", &reason))
            .transpose()?;
        Ok(Self {
            id: row.id.into(),
            subject: super::subject("links.subject", row.subject)?,
            zoom_account_id: ZoomAccountId::new(row.zoom_account_id),
            zoom_user_id: row.zoom_user_id.map(ZoomUserId::new),
            zoom_cluster: row.zoom_cluster,
            status,
            reauthorization_reason: reason,
            scopes: row.scopes,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

const REVOKED: &str = "revoked";

/// Finds a link by its id.
pub(crate) async fn by_id(conn: &mut Conn, id: LinkId) -> Result<Option<Link>, StoreError> {
    let row: Option<Row> = t::table
        .select(Row::as_select())
        .filter(t::id.eq(id.as_uuid()))
        .first(conn)
        .await
        .optional()?;
    row.map(Link::try_from).transpose()
}

/// The link of a subject that has not ended.
pub(crate) async fn live_by_subject(conn: &mut Conn, subject: &Subject) -> Result<Option<Link>, StoreError> {
    let row: Option<Row> = t::table
        .select(Row::as_select())
        .filter(t::subject.eq(subject.as_str()))
        .filter(t::status.ne(REVOKED))
        .first(conn)
        .await
        .optional()?;
    row.map(Link::try_from).transpose()
}

/// The account of all links that have not ended, if it is one. Two looks at the ends of an index.
pub(crate) async fn sole_account(conn: &mut Conn) -> Result<Option<ZoomAccountId>, StoreError> {
    let live = || t::table.filter(t::status.ne(REVOKED));
    let first: Option<String> = live().select(min(t::zoom_account_id)).first(conn).await?;
    let last: Option<String> = live().select(max(t::zoom_account_id)).first(conn).await?;
    let sole = first == last;
    Ok(first.filter(|_| sole).map(ZoomAccountId::new))
}

/// The links of one subject or of all, newest first, beginning below the id `before`.
pub(crate) async fn list(
    conn: &mut Conn,
    subject: Option<&Subject>,
    before: Option<LinkId>,
    limit: i64,
) -> Result<Vec<Link>, StoreError> {
    let mut query = t::table
        .select(Row::as_select())
        .order(t::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(subject) = subject {
        query = query.filter(t::subject.eq(subject.as_str()));
    }
    if let Some(before) = before {
        query = query.filter(t::id.lt(before.as_uuid()));
    }
    let rows: Vec<Row> = query.load(conn).await?;
    rows.into_iter().map(Link::try_from).collect()
}

/// The newest links of an operator's selection after this one.
pub(crate) async fn selected(
    conn: &mut Conn,
    selection: &LinkSelection,
    after: Option<LinkId>,
    limit: i64,
) -> Result<Vec<Link>, StoreError> {
    let mut query = t::table
        .select(Row::as_select())
        .order(t::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(status) = selection.status {
        query = query.filter(t::status.eq(status.as_str()));
    }
    if let Some(reason) = selection.reason {
        query = query.filter(t::reauthorization_reason.eq(reason.as_str()));
    }
    if let Some(subject) = &selection.subject {
        query = query.filter(t::subject.eq(subject.as_str()));
    }
    if let Some(account) = &selection.zoom_account_id {
        query = query.filter(t::zoom_account_id.eq(account.as_str()));
    }
    if let Some(user) = &selection.zoom_user_id {
        query = query.filter(t::zoom_user_id.eq(user.as_str()));
    }
    if let Some(before) = selection.updated_before {
        query = query.filter(t::updated_at.lt(before));
    }
    if let Some(after) = after {
        query = query.filter(t::id.lt(after.as_uuid()));
    }
    let rows: Vec<Row> = query.load(conn).await?;
    rows.into_iter().map(Link::try_from).collect()
}

/// The live link of a subject, locked.
pub(crate) async fn lock_live_by_subject(
    conn: &mut Conn,
    subject: &Subject,
) -> Result<Option<Link>, StoreError> {
    let row: Option<Row> = t::table
        .select(Row::as_select())
        .filter(t::subject.eq(subject.as_str()))
        .filter(t::status.ne(REVOKED))
        .for_update()
        .first(conn)
        .await
        .optional()?;
    row.map(Link::try_from).transpose()
}

/// The live link of a Zoom user, or of a whole account where the user is not given, locked.
pub(crate) async fn lock_live_by_zoom(
    conn: &mut Conn,
    account: &ZoomAccountId,
    user: Option<&ZoomUserId>,
) -> Result<Option<Link>, StoreError> {
    let of_account = t::table
        .select(Row::as_select())
        .filter(t::zoom_account_id.eq(account.as_str()))
        .filter(t::status.ne(REVOKED));
    // Two queries, because PostgreSQL uses no index for IS NOT DISTINCT FROM and an account may have many users.
    let row: Option<Row> = match user {
        Some(user) => {
            of_account
                .filter(t::zoom_user_id.eq(user.as_str()))
                .for_update()
                .first(conn)
                .await
        }
        None => {
            of_account
                .filter(t::zoom_user_id.is_null())
                .for_update()
                .first(conn)
                .await
        }
    }
    .optional()?;
    row.map(Link::try_from).transpose()
}

/// The link that an event of this account and user belongs to: exactly the user's, else exactly the account's (INV-7).
pub(crate) async fn route(
    conn: &mut Conn,
    account: &ZoomAccountId,
    user: Option<&ZoomUserId>,
) -> Result<Option<Link>, StoreError> {
    // A user's row sorts before the account's, whose user is null.
    let row: Option<Row> = t::table
        .select(Row::as_select())
        .filter(t::zoom_account_id.eq(account.as_str()))
        .filter(t::status.ne(REVOKED))
        .filter(
            t::zoom_user_id
                .eq(user.map(ZoomUserId::as_str))
                .or(t::zoom_user_id.is_null()),
        )
        .order(t::zoom_user_id.asc().nulls_last())
        .first(conn)
        .await
        .optional()?;
    row.map(Link::try_from).transpose()
}

/// Writes a new link.
pub(crate) async fn insert(conn: &mut Conn, link: &Link, client_id: &str) -> Result<(), StoreError> {
    diesel::insert_into(t::table)
        .values((
            t::id.eq(link.id.as_uuid()),
            t::subject.eq(link.subject.as_str()),
            t::zoom_client_id.eq(client_id),
            t::zoom_account_id.eq(link.zoom_account_id.as_str()),
            t::zoom_user_id.eq(link.zoom_user_id.as_ref().map(ZoomUserId::as_str)),
            t::zoom_cluster.eq(link.zoom_cluster.as_deref()),
            t::status.eq(link.status.as_str()),
            t::scopes.eq(&link.scopes),
            t::created_at.eq(link.created_at),
            t::updated_at.eq(link.updated_at),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes what a new authorization or its loss changes.
pub(crate) async fn update(conn: &mut Conn, link: &Link) -> Result<(), StoreError> {
    let rows = diesel::update(t::table.filter(t::id.eq(link.id.as_uuid())))
        .set((
            t::status.eq(link.status.as_str()),
            t::reauthorization_reason.eq(link.reauthorization_reason.map(TextState::as_str)),
            t::scopes.eq(&link.scopes),
            t::zoom_cluster.eq(link.zoom_cluster.as_deref()),
            t::updated_at.eq(link.updated_at),
        ))
        .execute(conn)
        .await?;
    one_row("update a link", rows)
}

/// Writes that a link has ended; the time is that of its last change.
pub(crate) async fn revoke(conn: &mut Conn, link: &Link) -> Result<(), StoreError> {
    let rows = diesel::update(
        t::table
            .filter(t::id.eq(link.id.as_uuid()))
            .filter(t::status.ne(REVOKED)),
    )
    .set((
        t::status.eq(link.status.as_str()),
        t::updated_at.eq(link.updated_at),
        t::revoked_at.eq(link.updated_at),
    ))
    .execute(conn)
    .await?;
    one_row("revoke a link", rows)
}

/// Whether a Zoom user has a live link.
pub(crate) async fn live_by_zoom(
    conn: &mut Conn,
    account: &ZoomAccountId,
    user: &ZoomUserId,
) -> Result<bool, StoreError> {
    let live = t::table
        .filter(t::zoom_account_id.eq(account.as_str()))
        .filter(t::zoom_user_id.eq(user.as_str()))
        .filter(t::status.ne(REVOKED));
    Ok(select(exists(live)).get_result(conn).await?)
}

/// Whether a Zoom account has a live link, be it to one of its users or to the whole of it.
pub(crate) async fn any_live_of_account(
    conn: &mut Conn,
    account: &ZoomAccountId,
) -> Result<bool, StoreError> {
    let live = t::table
        .filter(t::zoom_account_id.eq(account.as_str()))
        .filter(t::status.ne(REVOKED));
    Ok(select(exists(live)).get_result(conn).await?)
}

/// Locks one link for a change.
pub(crate) async fn lock(conn: &mut Conn, id: LinkId) -> Result<Option<Link>, StoreError> {
    let row: Option<Row> = t::table
        .select(Row::as_select())
        .filter(t::id.eq(id.as_uuid()))
        .for_update()
        .first(conn)
        .await
        .optional()?;
    row.map(Link::try_from).transpose()
}
