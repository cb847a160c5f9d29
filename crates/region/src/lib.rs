#![doc = include_str!("../README.md")]

mod directory;
pub mod file;
mod finding;

pub use directory::{Directory, DirectoryEntry};
pub use file::RegionFile;
pub use finding::{Finding, Findings};
