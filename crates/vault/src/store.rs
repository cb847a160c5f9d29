//! The queries of the `vault_keys` table.

use diesel::dsl::{count_star, exists, select};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::{KeyId, Timestamp, ZoomAccountId};
use domicile_store::schema::{region_key_marks, vault_keys};
use domicile_store::{Conn, StoreError, one_row};
use uuid::Uuid;

/// A data key as its row holds it.
pub(crate) struct WrappedKey {
    pub(crate) id: KeyId,
    pub(crate) region_key_id: String,
    /// Nothing once destroyed.
    pub(crate) wrapped: Option<Vec<u8>>,
}

type Row = (Uuid, String, Option<Vec<u8>>);
const COLUMNS: (vault_keys::id, vault_keys::region_key_id, vault_keys::wrapped_key) =
    (vault_keys::id, vault_keys::region_key_id, vault_keys::wrapped_key);

fn wrapped_key((id, region_key_id, wrapped): Row) -> WrappedKey {
    WrappedKey {
        id: id.into(),
        region_key_id,
        wrapped,
    }
}

pub(crate) async fn by_id(conn: &mut Conn, id: KeyId) -> Result<Option<WrappedKey>, StoreError> {
    let row: Option<Row> = vault_keys::table
        .select(COLUMNS)
        .filter(vault_keys::id.eq(id.as_uuid()))
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(wrapped_key))
}

pub(crate) async fn live(
    conn: &mut Conn,
    account: Option<&ZoomAccountId>,
) -> Result<Option<WrappedKey>, StoreError> {
    let mut query = vault_keys::table
        .select(COLUMNS)
        .filter(vault_keys::destroyed_at.is_null())
        .into_boxed();
    // IS NOT DISTINCT FROM would say it at once, and reads the whole table: PostgreSQL uses no index for it.
    query = match account {
        Some(account) => query.filter(vault_keys::zoom_account_id.eq(account.as_str())),
        None => query.filter(vault_keys::zoom_account_id.is_null()),
    };
    let row: Option<Row> = query.first(conn).await.optional()?;
    Ok(row.map(wrapped_key))
}

/// Inserts a new key; false if another process was first, and then nothing is changed.
pub(crate) async fn insert(
    conn: &mut Conn,
    account: Option<&ZoomAccountId>,
    id: KeyId,
    region_key_id: &str,
    wrapped: &[u8],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let rows = diesel::insert_into(vault_keys::table)
        .values((
            vault_keys::id.eq(id.as_uuid()),
            vault_keys::zoom_account_id.eq(account.map(ZoomAccountId::as_str)),
            vault_keys::region_key_id.eq(region_key_id),
            vault_keys::wrapped_key.eq(wrapped),
            vault_keys::created_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(rows == 1)
}

/// Whether a key is alive.
pub(crate) async fn is_live(conn: &mut Conn, id: KeyId) -> Result<bool, StoreError> {
    let live = vault_keys::table
        .filter(vault_keys::id.eq(id.as_uuid()))
        .filter(vault_keys::destroyed_at.is_null());
    Ok(select(exists(live)).get_result(conn).await?)
}

/// Locks a live key's row against changes until the transaction ends; false if the key is not alive.
pub(crate) async fn lock_live(conn: &mut Conn, id: KeyId) -> Result<bool, StoreError> {
    let row: Option<Uuid> = vault_keys::table
        .select(vault_keys::id)
        .filter(vault_keys::id.eq(id.as_uuid()))
        .filter(vault_keys::destroyed_at.is_null())
        .for_share()
        .first(conn)
        .await
        .optional()?;
    Ok(row.is_some())
}

/// How many live data keys each region key wraps.
pub(crate) async fn counts(conn: &mut Conn) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(vault_keys::table
        .group_by(vault_keys::region_key_id)
        .select((vault_keys::region_key_id, count_star()))
        .filter(vault_keys::destroyed_at.is_null())
        .order(vault_keys::region_key_id)
        .load(conn)
        .await?)
}

/// Live data keys that this region key wraps, by id, after this one.
pub(crate) async fn wrapped_by(
    conn: &mut Conn,
    region_key_id: &str,
    after: Option<KeyId>,
    limit: i64,
) -> Result<Vec<WrappedKey>, StoreError> {
    let rows: Vec<Row> = vault_keys::table
        .select(COLUMNS)
        .filter(vault_keys::region_key_id.eq(region_key_id))
        .filter(vault_keys::destroyed_at.is_null())
        .filter(vault_keys::id.gt(after.map_or(Uuid::nil(), |id| id.as_uuid())))
        .order(vault_keys::id)
        .limit(limit)
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(wrapped_key).collect())
}

/// Puts a new wrapping in the place of the one that was read; false if the row was changed or destroyed since.
pub(crate) async fn rewrap(
    conn: &mut Conn,
    id: KeyId,
    old: (&str, &[u8]),
    new: (&str, &[u8]),
) -> Result<bool, StoreError> {
    let rows = diesel::update(
        vault_keys::table
            .filter(vault_keys::id.eq(id.as_uuid()))
            .filter(vault_keys::region_key_id.eq(old.0))
            .filter(vault_keys::wrapped_key.eq(old.1))
            .filter(vault_keys::destroyed_at.is_null()),
    )
    .set((
        vault_keys::region_key_id.eq(new.0),
        vault_keys::wrapped_key.eq(new.1),
    ))
    .execute(conn)
    .await?;
    Ok(rows == 1)
}

/// Destroys a key.
pub(crate) async fn destroy(conn: &mut Conn, id: KeyId, now: Timestamp) -> Result<(), StoreError> {
    let rows = diesel::update(
        vault_keys::table
            .filter(vault_keys::id.eq(id.as_uuid()))
            .filter(vault_keys::destroyed_at.is_null()),
    )
    .set((
        vault_keys::wrapped_key.eq(None::<Vec<u8>>),
        vault_keys::destroyed_at.eq(now),
    ))
    .execute(conn)
    .await?;
    one_row("destroy a data key", rows)
}

/// What a region key says of its region.
pub(crate) struct KeyMark {
    pub(crate) region_key_id: String,
    pub(crate) id: KeyId,
    pub(crate) sealed: Vec<u8>,
}

/// The marks of all region keys that ever were.
pub(crate) async fn key_marks(conn: &mut Conn) -> Result<Vec<KeyMark>, StoreError> {
    use region_key_marks as t;
    let rows: Vec<(String, Uuid, Vec<u8>)> = t::table
        .select((t::region_key_id, t::id, t::region_id_sealed))
        .order(t::region_key_id)
        .load(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(region_key_id, id, sealed)| KeyMark {
            region_key_id,
            id: id.into(),
            sealed,
        })
        .collect())
}

/// When the region first used this region key.
pub(crate) async fn marked_at(conn: &mut Conn, region_key_id: &str) -> Result<Option<Timestamp>, StoreError> {
    use region_key_marks as t;
    Ok(t::table
        .find(region_key_id)
        .select(t::marked_at)
        .first(conn)
        .await
        .optional()?)
}

/// Keeps a key's mark, unless another process was first.
pub(crate) async fn insert_key_mark(
    conn: &mut Conn,
    mark: &KeyMark,
    now: Timestamp,
) -> Result<(), StoreError> {
    use region_key_marks as t;
    diesel::insert_into(t::table)
        .values((
            t::region_key_id.eq(&mark.region_key_id),
            t::id.eq(mark.id.as_uuid()),
            t::region_id_sealed.eq(&mark.sealed),
            t::marked_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(())
}
