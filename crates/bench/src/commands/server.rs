//! One of the servers to compare with, as its own process.

use std::io;

use crate::baseline::{self, ServerSettings};
use crate::failure::Outcome;

/// Reads the settings as JSON from standard input and runs the server until the process ends.
pub fn run() -> Outcome {
    let settings: ServerSettings = serde_json::from_reader(io::stdin().lock())?;
    crate::machine::raise_descriptor_limit();
    baseline::run(&settings)
}
