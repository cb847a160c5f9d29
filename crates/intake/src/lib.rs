#![doc = include_str!("../README.md")]

mod desk;
mod dispatch;
mod encoding;
mod endpoint;
mod error;
mod intake;
mod metrics;
mod ports;
mod queue;
mod reason;
mod retention;
pub mod routes;
mod settings;
mod store;
mod writer;

pub use desk::{InboxDesk, InboxEntry, InboxStatus, Replayed, RowStatus, Selection, Silence};
pub use dispatch::{Dispatcher, DispatcherBuilder};
pub use encoding::EncodingError;
pub use endpoint::Endpoint;
pub use error::IntakeError;
pub use intake::Intake;
pub use ports::{AccountEvent, AccountEventHandler, EventHandler, LinkRouter, RoutedEvent, RoutedLink};
pub use reason::QuarantineReason;
pub use settings::{DispatchSettings, IntakeSettings, Retention, WriterSettings};
pub use writer::Kept;

#[cfg(test)]
mod tests;
