//! The operations of the control API, typed.

mod apps;
mod bots;
mod chat;
mod chat_acts;
mod consent;
mod error;
mod events;
mod faults;
mod manifests;
mod people;
mod recordings;

pub(crate) use apps::is_loopback;
pub use chat::{Said, Say};
pub use chat_acts::Act;
pub(crate) use chat_acts::visit;
pub use consent::{ConsentOrder, Decision};
pub use error::ControlError;
pub use events::SendEvent;
pub use recordings::{FileDigest, FileSelection};
