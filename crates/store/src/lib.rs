#![doc = include_str!("../README.md")]

pub mod audit;
mod db;
mod error;
mod health;
pub mod inbox;
mod listen;
mod metrics;
mod migrations;
mod outbox;
mod region_mark;
#[expect(
    clippy::doc_markdown,
    reason = "generated; what has a comment in the database has its doc"
)]
pub mod schema;
mod settings;
mod tls;
mod wake;

pub use db::{Conn, Db, PoolState, PooledConn, TxError, TxFn};
pub use error::{StoreError, one_row, parse_state};
pub use listen::listen;
pub use migrations::{
    SchemaError, SchemaStatus, check_schema, migrate, migrations_digest, revert_all, schema_status,
};
pub use outbox::{NewEvent, Outbox};
pub use region_mark::{RegionMarkError, check_region_before_migrating};
pub use settings::{DbSettings, InvalidDatabaseUrl};
pub use wake::wake;
