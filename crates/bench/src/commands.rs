//! The commands of `bench-intake` and `loadgen`: one file each.

pub mod bot;
pub mod compare;
pub mod faults;
mod lab;
pub mod loadgen;
pub mod open_loop;
pub mod server;
