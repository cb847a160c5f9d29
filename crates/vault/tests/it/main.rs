//! The vault over a real database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed; the panic says why"
)]

#[path = "../support/mod.rs"]
mod support;

mod caching;
mod checking;
mod formats;
mod kms_wire;
mod marks;
mod rotation;
mod sealing;
