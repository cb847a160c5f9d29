#![doc = include_str!("../README.md")]

mod error;
mod jobs;
mod ports;
pub mod reconcile;

mod plan;

mod attempt;
mod fetch;
mod format;
mod inspect;

pub mod desk;
mod erase;
mod library;
pub mod routes;
mod view;

mod metrics;
mod sealed;
mod store;

pub use erase::{Erased, RecordingsEraser};
pub use error::{FetchError, FoundSize, RecordingsError};
pub use jobs::{FETCH, MERGE, Parts, SETTLE, handlers, take};
pub use library::{Library, RecordingBrief};
pub use ports::{AccessTokens, InboxBodies, NoProgress, Progress};

#[cfg(test)]
mod tests;
