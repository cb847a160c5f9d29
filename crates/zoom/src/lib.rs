#![doc = include_str!("../README.md")]

pub mod signature;

pub mod authorization;

pub mod challenge;

pub mod event;

pub mod recording;

pub mod host;

pub mod oauth;

pub mod scope;

pub mod api;

pub mod chat;

pub mod manifest;

mod transport;
mod wire;

#[cfg(test)]
mod fake;
