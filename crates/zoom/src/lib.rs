#![doc = include_str!("../README.md")]

pub mod challenge;
pub mod event;
pub mod recording;
pub mod signature;

mod wire;
