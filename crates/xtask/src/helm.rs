//! Draft.
use crate::run::Outcome;
pub(crate) fn run() -> Outcome { let _ = crate::python::install; Ok(()) }
