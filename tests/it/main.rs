//! Flows across crates, over real sockets: a region, a Zoom and a receiving app, each a server of its own.

mod harness;

mod bad_input;
mod crash;
mod linking;
mod main_path;
mod startup;
