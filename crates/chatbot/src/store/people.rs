use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::{Timestamp, ZoomAccountId, ZoomUserId};
use domicile_store::schema::bot_people;
use domicile_store::{Conn, StoreError};

use crate::people::Person;

/// Writes where a user was heard of last; a report that is older than what is known changes nothing.
pub(crate) async fn remember(
    conn: &mut Conn,
    person: &Person<'_>,
    seen_at: Timestamp,
) -> Result<(), StoreError> {
    let change = (
        bot_people::user_jid.eq(person.user_jid),
        bot_people::robot_jid.eq(person.robot_jid),
        bot_people::seen_at.eq(seen_at),
    );
    let upsert = diesel::insert_into(bot_people::table)
        .values((
            bot_people::zoom_account_id.eq(person.account.as_str()),
            bot_people::zoom_user_id.eq(person.user.as_str()),
            change,
        ))
        .on_conflict((bot_people::zoom_account_id, bot_people::zoom_user_id))
        .do_update()
        .set(change);
    // By its path: a table has a method of the same name.
    diesel::query_dsl::methods::FilterDsl::filter(upsert, bot_people::seen_at.le(seen_at))
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn jid_of(
    conn: &mut Conn,
    account: &ZoomAccountId,
    user: &ZoomUserId,
) -> Result<Option<String>, StoreError> {
    Ok(bot_people::table
        .select(bot_people::user_jid)
        .filter(bot_people::zoom_account_id.eq(account.as_str()))
        .filter(bot_people::zoom_user_id.eq(user.as_str()))
        .first(conn)
        .await
        .optional()?)
}

pub(crate) async fn forget(
    conn: &mut Conn,
    account: &ZoomAccountId,
    user: &ZoomUserId,
) -> Result<(), StoreError> {
    diesel::delete(
        bot_people::table
            .filter(bot_people::zoom_account_id.eq(account.as_str()))
            .filter(bot_people::zoom_user_id.eq(user.as_str())),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets up to `limit` people who were not heard of since.
pub(crate) async fn delete_old(conn: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<(String, String)> = bot_people::table
        .select((bot_people::zoom_account_id, bot_people::zoom_user_id))
        .filter(bot_people::seen_at.lt(before))
        .order(bot_people::seen_at)
        .limit(limit)
        .for_update()
        .skip_locked()
        .load(conn)
        .await?;
    for (account, user) in &old {
        forget(
            conn,
            &ZoomAccountId::new(account.as_str()),
            &ZoomUserId::new(user.as_str()),
        )
        .await?;
    }
    Ok(old.len())
}
