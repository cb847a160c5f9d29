//! `admitted_accounts`.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::{Timestamp, ZoomAccountId};
use domicile_store::schema::admitted_accounts as t;
use domicile_store::{Conn, StoreError};

use crate::admission::AdmittedAccount;

type Row = (String, Timestamp, String);

fn account((id, admitted_at, admitted_by): Row) -> AdmittedAccount {
    AdmittedAccount {
        zoom_account_id: ZoomAccountId::new(id),
        admitted_at,
        admitted_by,
    }
}

/// Writes an admission; false if there was one.
pub(crate) async fn insert(
    conn: &mut Conn,
    account: &ZoomAccountId,
    by: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let rows = diesel::insert_into(t::table)
        .values((
            t::zoom_account_id.eq(account.as_str()),
            t::admitted_at.eq(now),
            t::admitted_by.eq(by),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(rows == 1)
}

pub(crate) async fn get(conn: &mut Conn, id: &ZoomAccountId) -> Result<Option<AdmittedAccount>, StoreError> {
    let row: Option<Row> = t::table.find(id.as_str()).first(conn).await.optional()?;
    Ok(row.map(account))
}

/// True if there was an admission.
pub(crate) async fn delete(conn: &mut Conn, id: &ZoomAccountId) -> Result<bool, StoreError> {
    let rows = diesel::delete(t::table.find(id.as_str())).execute(conn).await?;
    Ok(rows == 1)
}

pub(crate) async fn list(
    conn: &mut Conn,
    after: Option<&ZoomAccountId>,
    limit: i64,
) -> Result<Vec<AdmittedAccount>, StoreError> {
    let mut query = t::table.order(t::zoom_account_id.asc()).limit(limit).into_boxed();
    if let Some(after) = after {
        query = query.filter(t::zoom_account_id.gt(after.as_str()));
    }
    let rows: Vec<Row> = query.load(conn).await?;
    Ok(rows.into_iter().map(account).collect())
}
