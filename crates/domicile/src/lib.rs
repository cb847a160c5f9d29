#![doc = include_str!("../README.md")]

pub mod cli;
pub mod settings;

mod bot;
pub mod doctor;
pub mod marks;
mod metrics;
pub mod outside;
mod plugs;
pub mod region;
pub mod routes;
pub mod server;
