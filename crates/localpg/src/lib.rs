#![doc = include_str!("../README.md")]

pub mod binaries;
pub mod cluster;
mod error;
mod home;
mod npm;
mod server;
mod supervisor;

pub use binaries::Binaries;
pub use cluster::{Cluster, ClusterSettings, Durability};
pub use error::LocalPgError;
