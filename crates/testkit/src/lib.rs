#![doc = include_str!("../README.md")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test that cannot be set up has failed; the panic says why"
)]

pub mod app;
pub mod clock;
pub mod db;
pub mod token_endpoint;
