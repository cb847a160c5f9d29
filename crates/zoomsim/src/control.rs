//! The operations of the control API, typed.

mod apps;
mod consent;
mod error;
mod events;
mod faults;
mod people;
mod recordings;

pub use consent::{ConsentOrder, Decision};
pub use error::ControlError;
pub use events::SendEvent;
pub use recordings::{FileDigest, FileSelection};
