//! zoomsim over real sockets, as any client sees it.
#![allow(missing_docs, reason = "tests are named for what they show")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests stand outside of #[test] functions"
)]

mod api;
mod chat;
mod chat_deliveries;
mod chat_events;
mod chat_page;
mod control;
mod downloads;
mod faults;
mod marketplace;
mod oauth;
mod pages;
mod program;
mod support;
mod webhooks;
