#![doc = include_str!("../README.md")]

mod error;
mod ports;
mod settings;

mod erase;
pub mod listening;
mod messages;
mod origin;
mod people;
mod recipient;

mod jobs;
mod metrics;
mod problems;
pub mod routes;
mod sealed;
mod store;

pub use erase::BotEraser;
pub use error::ChatbotError;
pub use jobs::BOT_MESSAGE;
pub use messages::{
    Callback, Edited, MessageView, Messages, NewMessage, Parts, PreparedEdit, PreparedMessage, Recipient,
    Written,
};
pub use origin::Origin;
pub use people::{Person, remember};
pub use ports::{LinkedUser, Links};
pub use settings::ChatbotSettings;

#[cfg(test)]
mod tests;
