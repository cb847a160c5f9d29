#![doc = include_str!("../README.md")]

mod admission;
mod claim;
mod confirm;
mod error;
mod grants;
pub mod jobs;
mod link;
mod linking;
mod metrics;
mod refusal;
mod returning;
pub mod routes;
mod sessions;
mod settings;
mod store;
mod stray;
mod token;

pub use admission::AdmittedAccount;
pub use error::LinkingError;
pub use link::{Link, LinkView};
pub use linking::{Linking, LinkingParts};
pub use refusal::{Home, Refusal};
pub use returning::{Finisher, Returned};
pub use sessions::{CreatedSession, NewConnectSession, SESSION_LIFE, StartedSession};
pub use settings::{Admission, LinkingSettings, ReturnUrls, UnknownCluster};
