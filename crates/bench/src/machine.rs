//! What is measured: a private PostgreSQL, the real service, the servers to compare with, and what they cost.

mod environment;
mod postgres;
mod process;
mod server;
mod shim;

pub use environment::{Addresses, SECRET, environment};
pub use postgres::Postgres;
pub use process::{Cost, Usage, cpu_seconds_of_self, raise_descriptor_limit};
pub(crate) use server::run_domicile;
pub use server::{Server, ServerKind, Worker};
