//! App manifests: what Zoom's validator looks at and what it lets pass, and what an app becomes by one (marketplace: the
//! manifest, field by field; error shapes).

mod app;
mod save;
mod validate;

pub(crate) use save::{ManifestRefused, Occasion};
pub(crate) use validate::Fault;
