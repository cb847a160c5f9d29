#![doc = include_str!("../README.md")]

mod delivery;
pub mod desk;
mod document;
mod error;
mod jobs;
mod metrics;
mod ports;
pub mod routes;
mod secrets;
mod settings;
mod store;

pub use delivery::Delivery;
pub use error::DeliveryError;
pub use ports::{Answer, AnswerReader};
pub use secrets::{EventSecrets, InvalidEventSecrets};
pub use settings::{DeliverySettings, Destination};

#[cfg(test)]
mod tests;
