#![doc = include_str!("../README.md")]

mod confirm;
mod error;
mod grants;
pub mod identity;
pub mod jobs;
mod link;
mod linking;
mod metrics;
pub mod routes;
mod sessions;
mod settings;
mod store;
mod token;

pub use error::LinkingError;
pub use identity::{Identity, IdentityError, IdentitySettings};
pub use link::{Link, LinkView};
pub use linking::{Linking, LinkingParts};
pub use sessions::{CreatedSession, Returned, SESSION_LIFE, StartedSession};
pub use settings::{LinkingSettings, ReturnUrls};
