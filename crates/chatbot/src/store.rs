//! The queries of `bot_messages` and `bot_people`, and what they read of `links`.

mod links;
mod messages;
mod people;
mod turns;

pub(crate) use links::{ended_link, hold_live as hold_live_link};
pub(crate) use messages::{
    MessageRow, NewRow, by_id, by_origin, delete, delete_old, insert, lock, of_link, of_user, update,
};
pub(crate) use people::{delete_old as forget_old_people, forget as forget_person, jid_of, remember};
pub(crate) use turns::{
    Turn, delete_old as delete_old_turns, get as turn, insert as insert_turn, message_of,
};
