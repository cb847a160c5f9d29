//! What the simulator keeps: apps, people, meetings, tokens, webhooks and ordered faults.

pub mod app;
pub mod chat;
pub mod fault;
pub mod meeting;
pub mod token;
pub mod user;
pub mod webhook;
