#![doc = include_str!("../README.md")]

pub mod address;
pub mod rule;

mod certificate;
mod client;
mod contacts;
mod error;
mod fence;
mod following;
mod metrics;
mod otlp;
mod resolver;
mod response;
mod retry_after;

pub mod testing;

pub use client::{Client, Egress, Timeouts};
pub use contacts::{Contact, Contacts, OTHER_HOSTS, Refusals};
pub use error::{EgressError, TimeoutPhase};
pub use fence::{Fence, FenceBuilder, Refused, RefusedReason};
pub use following::GetFollowing;
pub use resolver::{Resolver, SystemResolver};
pub use response::{BodyStream, Response};
pub use retry_after::retry_after;
pub use rule::{HostRule, InvalidRule, Rule};
