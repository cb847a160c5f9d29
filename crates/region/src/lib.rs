#![doc = include_str!("../README.md")]

mod directory;
mod finding;

pub use directory::{Directory, DirectoryEntry};
pub use finding::{Finding, Findings};
