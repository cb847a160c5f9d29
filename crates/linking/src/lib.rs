#![doc = include_str!("../README.md")]

mod confirm;
mod error;
mod grants;
pub mod jobs;
mod link;
mod linking;
mod metrics;
mod passthrough;
pub mod routes;
mod sessions;
mod settings;
mod store;
mod token;
mod unlink;

pub use error::LinkingError;
pub use grants::access::AccessToken;
pub use link::{Link, LinkView};
pub use linking::{Linking, LinkingParts};
pub use passthrough::{ZoomCall, ZoomCallError};
pub use sessions::{CreatedSession, Returned, SESSION_LIFE, StartedSession};
pub use settings::{LinkingSettings, ReturnUrls};
pub use unlink::{AtZoom, EndedLink, Ending, Erasure, LinkEraser};
