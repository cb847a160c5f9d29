//! Extractors: a handler whose signature names one cannot run without what it proves.

mod app_key;
mod body;
mod budget;
mod config;
mod json;
mod zoom;

pub use app_key::{AppKey, AppKeys, InvalidAppKeys};
pub use body::RawBody;
pub use budget::BodyBudget;
pub use config::configure;
pub use json::{JsonLimits, ProblemJson};
pub use zoom::{Admission, VerifiedZoomRequest, ZoomEndpointVerifier, ZoomRequest};
