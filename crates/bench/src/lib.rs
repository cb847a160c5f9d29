#![doc = include_str!("../README.md")]
#![allow(clippy::print_stdout, clippy::print_stderr)] // A developer's tool talks to its terminal.
#![allow(clippy::cast_precision_loss)] // Counts and times become rates and means; no digit that is shown is lost.

pub mod baseline;
pub mod bot;
pub mod commands;
pub mod event;
pub mod failure;
pub mod faults;
pub mod http;
pub mod load;
pub mod machine;
pub mod request;
pub mod table;
pub mod timing;
pub mod wall;
