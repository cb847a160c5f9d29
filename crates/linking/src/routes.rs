//! Linking's routes, by caller.

mod admissions;
mod app;
mod audit;
mod cookie;
mod pages;
mod problems;
mod public;
mod zoom;

pub use admissions::configure as configure_admissions;
pub use app::configure as configure_app;
pub use audit::configure as configure_audit;
pub use public::configure as configure_public;
pub use zoom::configure as configure_zoom_calls;
