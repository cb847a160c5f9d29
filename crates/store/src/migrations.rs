//! The embedded migrations and the gate that compares them with the database.

use std::collections::BTreeSet;

use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use thiserror::Error;
use tracing::info;

use crate::db::{Conn, Db, establish};
use crate::error::StoreError;
use crate::schema::schema_floor;
use crate::settings::DbSettings;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// Serialises migrators of one database; the number only has to be the same in all of them.
const ADVISORY_LOCK: &str = "SELECT pg_advisory_lock(4706001)";

/// Why a process does not start on this schema.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// Migrations that this version brings were not applied.
    #[error("the database lacks the migrations {0}; run `domicile migrate` of this version first")]
    Behind(String),
    /// Migrations were applied that this version does not know and does not get along with.
    #[error(
        "the database has migrations that this version does not know ({0}), and they need newer code; start the version \
         that applied them"
    )]
    Unknown(String),
    /// The database could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A migration failed; none of it was kept.
    #[error("a migration failed and was rolled back: {0}")]
    Failed(String),
}

/// Applies what is pending, one migrator at a time, and returns the names of what was applied.
pub async fn migrate(settings: &DbSettings) -> Result<Vec<String>, SchemaError> {
    with_harness(settings, |harness| {
        let applied = harness.run_pending_migrations(MIGRATIONS).map_err(failed)?;
        Ok(applied.iter().map(ToString::to_string).collect())
    })
    .await
    .inspect(|applied: &Vec<String>| info!(applied = applied.len(), "the schema is up to date"))
}

/// Takes every migration back, newest first. It exists to show that each down undoes its up.
pub async fn revert_all(settings: &DbSettings) -> Result<(), SchemaError> {
    with_harness(settings, |harness| {
        harness
            .revert_all_migrations(MIGRATIONS)
            .map(drop)
            .map_err(failed)
    })
    .await
}

/// How the database's migrations and this version's stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaStatus {
    /// Migrations of this version that were not applied.
    pub missing: Vec<String>,
    /// Applied migrations that this version does not know.
    pub unknown: Vec<String>,
    /// Whether the unknown ones need newer code than this.
    pub needs_newer_code: bool,
}

/// Compares the database's migrations with this version's.
pub async fn schema_status(db: &Db) -> Result<SchemaStatus, SchemaError> {
    let mut conn = db.conn().await?;
    let applied = applied_versions(&mut conn).await?;
    let known = known_versions()?;
    let unknown: Vec<_> = applied.difference(&known).cloned().collect();
    let needs_newer_code =
        !unknown.is_empty() && !floor(&mut conn).await?.is_some_and(|it| known.contains(&it));
    Ok(SchemaStatus {
        missing: known.difference(&applied).cloned().collect(),
        unknown,
        needs_newer_code,
    })
}

/// Refuses a schema that is behind this version, or that needs newer code. A newer schema that only added something is
/// accepted, so that this version goes on while the next one rolls out, and may come back after it.
pub async fn check_schema(db: &Db) -> Result<(), SchemaError> {
    let status = schema_status(db).await?;
    if status.needs_newer_code {
        return Err(SchemaError::Unknown(status.unknown.join(", ")));
    }
    if !status.missing.is_empty() {
        return Err(SchemaError::Behind(status.missing.join(", ")));
    }
    Ok(())
}

/// The migration that all code must know; none on a schema from before there was a floor.
async fn floor(conn: &mut Conn) -> Result<Option<String>, StoreError> {
    if !exists(conn, "schema_floor").await? {
        return Ok(None);
    }
    Ok(schema_floor::table
        .select(schema_floor::version)
        .first(conn)
        .await
        .optional()?)
}

async fn exists(conn: &mut Conn, table: &str) -> Result<bool, StoreError> {
    Ok(diesel::select(
        diesel::dsl::sql::<diesel::sql_types::Bool>("to_regclass(")
            .bind::<diesel::sql_types::Text, _>(table)
            .sql(") IS NOT NULL"),
    )
    .get_result(conn)
    .await?)
}

/// Names the set of embedded migrations, so that prepared databases can be told apart.
pub fn migrations_digest() -> String {
    known_versions()
        .map(|versions| versions.into_iter().collect::<Vec<_>>().join("_"))
        .unwrap_or_default()
}

fn known_versions() -> Result<BTreeSet<String>, SchemaError> {
    let migrations: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().map_err(failed)?;
    Ok(migrations
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect())
}

async fn applied_versions(conn: &mut Conn) -> Result<BTreeSet<String>, StoreError> {
    diesel::table! {
        __diesel_schema_migrations (version) {
            version -> Text,
        }
    }
    if !exists(conn, "__diesel_schema_migrations").await? {
        return Ok(BTreeSet::new());
    }
    let versions: Vec<String> = __diesel_schema_migrations::table
        .select(__diesel_schema_migrations::version)
        .load(conn)
        .await?;
    Ok(versions.into_iter().collect())
}

/// Diesel's migrations block, so they run on a thread for blocking work.
async fn with_harness<T: Send + 'static>(
    settings: &DbSettings,
    work: impl FnOnce(&mut AsyncConnectionWrapper<Conn>) -> Result<T, SchemaError> + Send + 'static,
) -> Result<T, SchemaError> {
    let mut conn = establish(settings).await?;
    // Building an index may take longer than a request's statement may; the lock ends with the connection.
    conn.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0;")
        .await
        .map_err(StoreError::from)?;
    conn.batch_execute(ADVISORY_LOCK)
        .await
        .map_err(StoreError::from)?;
    tokio::task::spawn_blocking(move || work(&mut AsyncConnectionWrapper::from(conn)))
        .await
        .map_err(failed)?
}

fn failed(error: impl std::fmt::Display) -> SchemaError {
    SchemaError::Failed(error.to_string())
}
