//! Flows across crates; see `tests/it`.
