//! Whom the bot has met.

use domicile_kernel::{Timestamp, ZoomAccountId, ZoomUserId};
use domicile_store::{Conn, StoreError};

use crate::store;

/// A Zoom user who spoke to the bot.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// The account.
    pub account: &'a ZoomAccountId,
    /// The user.
    pub user: &'a ZoomUserId,
    /// The user's address.
    pub user_jid: &'a str,
    /// The bot's address, as the event named it.
    pub robot_jid: &'a str,
}

/// Remembers a user whom an event names, in the transaction that takes the event. Without it the bot derives the address
/// from the user id.
pub async fn remember(conn: &mut Conn, person: Person<'_>, seen_at: Timestamp) -> Result<(), StoreError> {
    store::remember(conn, &person, seen_at).await
}

/// The address of a user: as it was seen, else as Zoom makes it (`<lower-cased user id>@xmpp.zoom.us`; observed, not
/// documented).
pub(crate) async fn jid_of(
    conn: &mut Conn,
    account: &ZoomAccountId,
    user: &ZoomUserId,
) -> Result<String, StoreError> {
    let seen = store::jid_of(conn, account, user).await?;
    Ok(seen.unwrap_or_else(|| derived_jid(user)))
}

pub(crate) fn derived_jid(user: &ZoomUserId) -> String {
    format!("{}@xmpp.zoom.us", user.as_str().to_ascii_lowercase())
}
