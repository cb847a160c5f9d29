use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::{BotMessageId, EventId, Timestamp, ZoomAccountId, ZoomUserId};
use domicile_store::schema::{bot_messages, bot_turns as t, events};
use domicile_store::{Conn, StoreError};
use uuid::Uuid;

/// Something that the app was told, and what an answer to it needs.
#[derive(Clone)]
pub(crate) struct Turn {
    pub(crate) event_id: EventId,
    pub(crate) account: ZoomAccountId,
    pub(crate) user: Option<ZoomUserId>,
    pub(crate) to_jid: String,
    pub(crate) user_jid: Option<String>,
    /// Whom the event is about.
    pub(crate) subject: Option<String>,
    pub(crate) zoom_message_id: Option<String>,
    /// The thread in which an answer belongs.
    pub(crate) reply_to: Option<String>,
    /// Sealed, with its end.
    pub(crate) callback: Option<(Vec<u8>, Timestamp)>,
}

/// Keeps a turn, with the event in the same transaction.
pub(crate) async fn insert(
    conn: &mut Conn,
    turn: &Turn,
    robot_jid: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let callback = turn.callback.as_ref();
    diesel::insert_into(t::table)
        .values((
            t::event_id.eq(turn.event_id.as_uuid()),
            t::zoom_account_id.eq(turn.account.as_str()),
            t::zoom_user_id.eq(turn.user.as_ref().map(ZoomUserId::as_str)),
            t::robot_jid.eq(robot_jid),
            t::to_jid.eq(&turn.to_jid),
            t::user_jid.eq(turn.user_jid.as_deref()),
            t::zoom_message_id.eq(turn.zoom_message_id.as_deref()),
            t::reply_to.eq(turn.reply_to.as_deref()),
            t::callback_sealed.eq(callback.map(|(sealed, _)| sealed.as_slice())),
            t::callback_expires_at.eq(callback.map(|(_, end)| *end)),
            t::created_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

type Columns = (
    Option<String>,
    String,
    Option<String>,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Vec<u8>>,
    Option<Timestamp>,
);

/// The turn of an event.
pub(crate) async fn get(conn: &mut Conn, event: EventId) -> Result<Option<Turn>, StoreError> {
    let row: Option<Columns> = t::table
        .inner_join(events::table)
        .select((
            events::subject,
            t::zoom_account_id,
            t::zoom_user_id,
            t::to_jid,
            t::user_jid,
            t::zoom_message_id,
            t::reply_to,
            t::callback_sealed,
            t::callback_expires_at,
        ))
        .filter(t::event_id.eq(event.as_uuid()))
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(
        |(subject, account, user, to_jid, user_jid, zoom_message_id, reply_to, sealed, end)| Turn {
            event_id: event,
            account: ZoomAccountId::new(account),
            user: user.map(ZoomUserId::new),
            to_jid,
            user_jid,
            subject,
            zoom_message_id,
            reply_to,
            callback: sealed.zip(end),
        },
    ))
}

/// Deletes turns that were kept long enough, at most so many, and says how many went.
pub(crate) async fn delete_old(conn: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<Uuid> = t::table
        .select(t::event_id)
        .filter(t::created_at.lt(before))
        .order(t::created_at)
        .limit(limit)
        .for_update()
        .skip_locked()
        .load(conn)
        .await?;
    Ok(diesel::delete(t::table.filter(t::event_id.eq_any(old)))
        .execute(conn)
        .await?)
}

/// The bot's own message that Zoom knows by this id.
pub(crate) async fn message_of(
    conn: &mut Conn,
    account: &ZoomAccountId,
    zoom_message_id: &str,
) -> Result<Option<BotMessageId>, StoreError> {
    let id: Option<Uuid> = bot_messages::table
        .select(bot_messages::id)
        .filter(bot_messages::zoom_message_id.eq(zoom_message_id))
        .filter(bot_messages::zoom_account_id.eq(account.as_str()))
        .first(conn)
        .await
        .optional()?;
    Ok(id.map(Into::into))
}
