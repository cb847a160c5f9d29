#![doc = include_str!("../README.md")]

mod check;
mod digest;
mod directory;
mod document;
pub mod egress;
pub mod environment;
pub mod file;
mod finding;
pub mod order;
mod places;
pub mod report;
mod rule;
mod schema;
pub mod show;
pub mod words;

pub use check::{Report, check, check_alone};
pub use directory::{Directory, DirectoryEntry};
pub use document::{Document, Lines, Source};
pub use file::RegionFile;
pub use finding::{Finding, Findings, Related};
pub use rule::{Rule, Strength, UnknownRule};
pub use schema::{schema, values, values_schema};
