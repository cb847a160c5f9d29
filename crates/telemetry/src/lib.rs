#![doc = include_str!("../README.md")]

mod error;
mod format;
mod otlp;
mod panics;
mod propagation;
mod start;

pub mod testing;

pub use error::TelemetryError;
pub use propagation::{current_traceparent, set_parent};
pub use start::{LogFormat, Telemetry, TelemetrySettings, check_log_filter, start};
