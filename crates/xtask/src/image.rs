//! Draft.
use crate::run::Outcome;
/// The options of `image`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
pub(crate) fn run(_: &Args) -> Outcome { Ok(()) }
