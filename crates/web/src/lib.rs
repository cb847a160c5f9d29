#![doc = include_str!("../README.md")]

pub mod problem;

pub mod extract;

pub mod guard;

pub mod page;

pub mod list;

pub mod range;

mod context;
mod metrics;

pub use context::{RequestId, request_id};
