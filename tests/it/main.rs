//! Flows across crates, over real sockets: a region, a Zoom and a receiving app, each a server of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed; the panic says why"
)]

mod harness;

mod bad_input;
mod crash;
mod keys;
mod linking;
mod main_path;
mod openapi;
mod plans;
mod secrets;
mod startup;
