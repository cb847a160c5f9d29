//! zoomsim over real sockets, as any client sees it.
#![allow(missing_docs, reason = "tests are named for what they show")]

mod api;
mod control;
mod downloads;
mod faults;
mod oauth;
mod pages;
mod program;
mod support;
mod webhooks;
