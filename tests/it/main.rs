//! Flows across crates, over real sockets: a region, a Zoom and a receiving app, each a server of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed; the panic says why"
)]

mod harness;

mod attacks;
mod bad_input;
mod bot;
mod conflicts;
mod crash;
mod doctor;
mod evidence;
mod fence;
mod forgery;
mod grants;
mod home;
mod intake;
mod keys;
mod linking;
mod main_path;
mod marks;
mod one_trace;
mod openapi;
mod operating;
mod plans;
mod refresh_storm;
mod restore;
mod rolling;
mod secrets;
mod startup;
mod telemetry;
mod unlink;
mod zoom_apps;
mod zoom_calls;
