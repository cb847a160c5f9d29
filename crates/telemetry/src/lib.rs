#![doc = include_str!("../README.md")]

mod error;
mod format;
mod logs;
mod otlp;
mod panics;
mod propagation;
mod start;
mod trace_ids;

pub mod testing;

pub use error::TelemetryError;
pub use propagation::{add_link, context, current_traceparent, set_parent};
pub use start::{LogFormat, Telemetry, TelemetrySettings, check_log_filter, start};
