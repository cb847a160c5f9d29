#![doc = include_str!("../README.md")]

mod backoff;
mod error;
mod handler;
mod lanes;
mod lease;
mod metrics;
mod store;
mod workers;

pub use backoff::Backoff;
pub use error::{JobError, LeaseError};
pub use handler::{Handler, JobKind, Policy};
pub use lease::{Finished, Lease};
pub use store::desk;
pub use store::{KindStatistics, NOTIFY_CHANNEL, NewJob, cancel, enqueue, redrive, statistics};
pub use workers::{Workers, WorkersBuilder};
