use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::state::{BotMessageState, TextState, WantedMessage};
use domicile_kernel::{BotMessageId, LinkId, Subject, Timestamp, ZoomAccountId};
use domicile_store::schema::bot_messages as t;
use domicile_store::{Conn, StoreError, one_row, parse_state};
use uuid::Uuid;

use crate::origin::Origin;

/// A message as its row holds it. What changes in its life is public; write it back with [`update`].
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = t, check_for_backend(diesel::pg::Pg))]
pub(crate) struct MessageRow {
    id: Uuid,
    pub(crate) request_sealed: Vec<u8>,
    zoom_account_id: String,
    link_id: Option<Uuid>,
    subject: Option<String>,
    pub(crate) to_jid: String,
    pub(crate) user_jid: Option<String>,
    pub(crate) robot_jid: String,
    pub(crate) reply_to: Option<String>,
    pub(crate) visible_to_user: Option<String>,
    pub(crate) is_markdown: bool,
    pub(crate) content_sealed: Option<Vec<u8>>,
    pub(crate) callback_sealed: Option<Vec<u8>>,
    pub(crate) callback_expires_at: Option<Timestamp>,
    wanted: String,
    pub(crate) wanted_revision: i32,
    pub(crate) sent_revision: i32,
    state: String,
    pub(crate) zoom_message_id: Option<String>,
    pub(crate) error_class: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl MessageRow {
    pub(crate) fn id(&self) -> BotMessageId {
        self.id.into()
    }

    pub(crate) fn account(&self) -> ZoomAccountId {
        ZoomAccountId::new(self.zoom_account_id.as_str())
    }

    /// The link that it is about, and whom.
    pub(crate) fn link(&self) -> Result<Option<(LinkId, Subject)>, StoreError> {
        let (Some(link), Some(subject)) = (self.link_id, self.subject.clone()) else {
            return Ok(None);
        };
        let subject = Subject::try_from(subject).map_err(|_| StoreError::Corrupt {
            column: "bot_messages.subject",
        })?;
        Ok(Some((link.into(), subject)))
    }

    pub(crate) fn state(&self) -> Result<BotMessageState, StoreError> {
        parse_state("bot_messages.state", &self.state)
    }

    pub(crate) fn set_state(&mut self, state: BotMessageState) {
        state.as_str().clone_into(&mut self.state);
    }

    pub(crate) fn wanted(&self) -> Result<WantedMessage, StoreError> {
        parse_state("bot_messages.wanted", &self.wanted)
    }

    pub(crate) fn set_wanted(&mut self, wanted: WantedMessage) {
        wanted.as_str().clone_into(&mut self.wanted);
    }
}

/// A message that nobody has written yet.
pub(crate) struct NewRow<'a> {
    pub(crate) id: BotMessageId,
    pub(crate) origin: &'a Origin,
    pub(crate) request_sealed: &'a [u8],
    pub(crate) account: &'a ZoomAccountId,
    pub(crate) link: Option<&'a (LinkId, Subject)>,
    pub(crate) to_jid: &'a str,
    pub(crate) user_jid: Option<&'a str>,
    pub(crate) robot_jid: &'a str,
    pub(crate) reply_to: Option<&'a str>,
    pub(crate) visible_to_user: Option<&'a str>,
    pub(crate) is_markdown: bool,
    pub(crate) content_sealed: &'a [u8],
    pub(crate) callback: Option<(&'a [u8], Timestamp)>,
    pub(crate) traceparent: Option<&'a str>,
}

/// Writes the message unless its origin has one; says whether it did.
pub(crate) async fn insert(conn: &mut Conn, new: NewRow<'_>, now: Timestamp) -> Result<bool, StoreError> {
    let rows = diesel::insert_into(t::table)
        .values((
            (
                t::id.eq(new.id.as_uuid()),
                t::origin.eq(new.origin.as_str()),
                t::request_sealed.eq(new.request_sealed),
                t::zoom_account_id.eq(new.account.as_str()),
                t::link_id.eq(new.link.map(|(link, _)| link.as_uuid())),
                t::subject.eq(new.link.map(|(_, subject)| subject.as_str())),
                t::to_jid.eq(new.to_jid),
                t::user_jid.eq(new.user_jid),
                t::robot_jid.eq(new.robot_jid),
                t::reply_to.eq(new.reply_to),
                t::visible_to_user.eq(new.visible_to_user),
                t::is_markdown.eq(new.is_markdown),
            ),
            (
                t::content_sealed.eq(new.content_sealed),
                t::callback_sealed.eq(new.callback.map(|(sealed, _)| sealed)),
                t::callback_expires_at.eq(new.callback.map(|(_, expires_at)| expires_at)),
                t::wanted.eq(WantedMessage::Present.as_str()),
                t::wanted_revision.eq(1),
                t::sent_revision.eq(0),
                t::state.eq(BotMessageState::Pending.as_str()),
                t::traceparent.eq(new.traceparent),
                t::created_at.eq(now),
                t::updated_at.eq(now),
            ),
        ))
        .on_conflict(t::origin)
        .do_nothing()
        .execute(conn)
        .await?;
    Ok(rows == 1)
}

/// Writes back what changes in the life of a message that this transaction has locked.
pub(crate) async fn update(conn: &mut Conn, row: &MessageRow, now: Timestamp) -> Result<(), StoreError> {
    let rows = diesel::update(t::table.filter(t::id.eq(row.id)))
        .set((
            t::content_sealed.eq(row.content_sealed.as_deref()),
            t::callback_sealed.eq(row.callback_sealed.as_deref()),
            t::callback_expires_at.eq(row.callback_expires_at),
            t::wanted.eq(&row.wanted),
            t::wanted_revision.eq(row.wanted_revision),
            t::sent_revision.eq(row.sent_revision),
            t::state.eq(&row.state),
            t::zoom_message_id.eq(row.zoom_message_id.as_deref()),
            t::error_class.eq(row.error_class.as_deref()),
            t::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    one_row("update a bot message", rows)
}

pub(crate) async fn by_id(conn: &mut Conn, id: BotMessageId) -> Result<Option<MessageRow>, StoreError> {
    Ok(t::table
        .select(MessageRow::as_select())
        .filter(t::id.eq(id.as_uuid()))
        .first(conn)
        .await
        .optional()?)
}

pub(crate) async fn by_origin(conn: &mut Conn, origin: &Origin) -> Result<Option<MessageRow>, StoreError> {
    Ok(t::table
        .select(MessageRow::as_select())
        .filter(t::origin.eq(origin.as_str()))
        .first(conn)
        .await
        .optional()?)
}

/// The message, locked for a change.
pub(crate) async fn lock(conn: &mut Conn, id: BotMessageId) -> Result<Option<MessageRow>, StoreError> {
    Ok(t::table
        .select(MessageRow::as_select())
        .filter(t::id.eq(id.as_uuid()))
        .for_update()
        .first(conn)
        .await
        .optional()?)
}

/// Up to `limit` messages of a link.
pub(crate) async fn of_link(
    conn: &mut Conn,
    link: LinkId,
    limit: i64,
) -> Result<Vec<BotMessageId>, StoreError> {
    let ids: Vec<Uuid> = t::table
        .select(t::id)
        .filter(t::link_id.eq(link.as_uuid()))
        .limit(limit)
        .load(conn)
        .await?;
    Ok(ids.into_iter().map(BotMessageId::from).collect())
}

/// Up to `limit` messages on behalf of one of these addresses in an account that belong to no link.
pub(crate) async fn of_user(
    conn: &mut Conn,
    account: &ZoomAccountId,
    jids: &[String],
    limit: i64,
) -> Result<Vec<BotMessageId>, StoreError> {
    let ids: Vec<Uuid> = t::table
        .select(t::id)
        .filter(t::zoom_account_id.eq(account.as_str()))
        .filter(t::user_jid.eq_any(jids))
        .filter(t::link_id.is_null())
        .limit(limit)
        .load(conn)
        .await?;
    Ok(ids.into_iter().map(BotMessageId::from).collect())
}

pub(crate) async fn delete(conn: &mut Conn, ids: &[BotMessageId]) -> Result<usize, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(BotMessageId::as_uuid).collect();
    Ok(diesel::delete(t::table.filter(t::id.eq_any(ids)))
        .execute(conn)
        .await?)
}

/// Deletes up to `limit` messages that did not change since; those that somebody holds are left for later.
pub(crate) async fn delete_old(conn: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<Uuid> = t::table
        .select(t::id)
        .filter(t::updated_at.lt(before))
        .order(t::updated_at)
        .limit(limit)
        .for_update()
        .skip_locked()
        .load(conn)
        .await?;
    Ok(diesel::delete(t::table.filter(t::id.eq_any(old)))
        .execute(conn)
        .await?)
}
