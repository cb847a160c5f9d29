//! `grants`.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::{LinkId, Timestamp};
use domicile_store::schema::grants as t;
use domicile_store::{Conn, StoreError};

/// A grant as its row holds it, sealed.
#[derive(Queryable, Selectable)]
#[diesel(table_name = t, check_for_backend(diesel::pg::Pg))]
pub(crate) struct SealedGrant {
    pub(crate) access_token_sealed: Vec<u8>,
    pub(crate) refresh_token_sealed: Option<Vec<u8>>,
    pub(crate) access_expires_at: Timestamp,
    pub(crate) api_url: String,
    pub(crate) generation: i64,
}

pub(crate) async fn get(conn: &mut Conn, link: LinkId) -> Result<Option<SealedGrant>, StoreError> {
    Ok(t::table
        .select(SealedGrant::as_select())
        .filter(t::link_id.eq(link.as_uuid()))
        .first(conn)
        .await
        .optional()?)
}

/// Writes the tokens of a new authorization over whatever was there.
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

/// Writes a rotation, unless another authorization came between: then nothing changes and the answer is false.
pub(crate) async fn rotate(
    conn: &mut Conn,
    link: LinkId,
    from_generation: i64,
    grant: &SealedGrant,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let rows = diesel::update(
        t::table
            .filter(t::link_id.eq(link.as_uuid()))
            .filter(t::generation.eq(from_generation)),
    )
    .set((
        t::access_token_sealed.eq(&grant.access_token_sealed),
        t::refresh_token_sealed.eq(grant.refresh_token_sealed.as_ref()),
        t::access_expires_at.eq(grant.access_expires_at),
        t::api_url.eq(&grant.api_url),
        t::generation.eq(from_generation + 1),
        t::refreshed_at.eq(now),
    ))
    .execute(conn)
    .await?;
    Ok(rows == 1)
}
