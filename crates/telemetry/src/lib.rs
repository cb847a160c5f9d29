#![doc = include_str!("../README.md")]

mod propagation;

pub use propagation::{current_traceparent, set_parent};
