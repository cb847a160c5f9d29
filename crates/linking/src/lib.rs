#![doc = include_str!("../README.md")]

mod admission;
mod claim;
mod confirm;
pub mod desk;
mod error;
mod grants;
pub mod identity;
pub mod jobs;
mod link;
mod linking;
mod metrics;
mod passthrough;
mod refusal;
mod returning;
pub mod routes;
mod sessions;
mod settings;
mod store;
mod stray;
mod token;
mod unlink;

pub use admission::AdmittedAccount;
pub use error::LinkingError;
pub use grants::access::AccessToken;
pub use identity::{Identity, IdentityError, IdentitySettings};
pub use link::{Link, LinkView};
pub use linking::{Linking, LinkingParts};
pub use passthrough::{ZoomCall, ZoomCallError};
pub use refusal::{Home, Refusal};
pub use returning::Returned;
pub use sessions::{CreatedSession, NewConnectSession, SESSION_LIFE, StartedSession};
pub use settings::{Admission, LinkingSettings, ReturnUrls, UnknownCluster};
pub use unlink::{AtZoom, EndedLink, Ending, Erasure, LinkEraser};
