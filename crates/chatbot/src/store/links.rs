use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::state::{LinkStatus, TextState};
use domicile_kernel::{LinkId, ZoomAccountId, ZoomUserId};
use domicile_store::schema::links;
use domicile_store::{Conn, StoreError};
use uuid::Uuid;

/// Whether the link has not ended; if so nobody ends it before this transaction does.
pub(crate) async fn hold_live(conn: &mut Conn, id: LinkId) -> Result<bool, StoreError> {
    let row: Option<Uuid> = links::table
        .select(links::id)
        .filter(links::id.eq(id.as_uuid()))
        .filter(links::status.ne(LinkStatus::Revoked.as_str()))
        .for_share()
        .first(conn)
        .await
        .optional()?;
    Ok(row.is_some())
}

/// Account and user of a link.
pub(crate) async fn ended_link(
    conn: &mut Conn,
    id: LinkId,
) -> Result<Option<(ZoomAccountId, Option<ZoomUserId>)>, StoreError> {
    let row: Option<(String, Option<String>)> = links::table
        .select((links::zoom_account_id, links::zoom_user_id))
        .filter(links::id.eq(id.as_uuid()))
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(|(account, user)| (ZoomAccountId::new(account), user.map(ZoomUserId::new))))
}
