//! Cloning test databases from a template, and removing them.
//!
//! A database in use is locked by its oid in the session of its owner; the server itself releases the lock when the
//! owner dies, on whatever machine. Such locks belong to one database: all of these are taken in the maintenance database. Making and sweeping exclude each other, so none is swept between its making and its lock.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use domicile_store::migrate;
use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use super::server::Server;

/// The lock under which databases are made (shared) and templates built or orphans swept (exclusive).
const MAKING: &str = "4706, 0";
/// The first half of the lock of one database; the second is its oid.
const IN_USE: &str = "4707";
const TEST_PREFIX: &str = "domicile_test_";
const TEMPLATE_PREFIX: &str = "domicile_template_";

/// Clones a new database from the template, which is built first if it is absent. `keeper`'s session owns the database.
pub(super) async fn clone(server: &Server, keeper: &Client) -> String {
    let template = format!("{TEMPLATE_PREFIX}{}", migrations_digest());
    run(keeper, &format!("SELECT pg_advisory_lock_shared({MAKING})")).await;
    if !is_ready(keeper, &template).await {
        run(
            keeper,
            &format!("SELECT pg_advisory_unlock_shared({MAKING}), pg_advisory_lock({MAKING})"),
        )
        .await;
        // Another process may have been faster.
        if !is_ready(keeper, &template).await {
            build(server, keeper, &template).await;
        }
        // Never without a lock in between: another tree's tests could remove the template.
        run(
            keeper,
            &format!("SELECT pg_advisory_lock_shared({MAKING}), pg_advisory_unlock({MAKING})"),
        )
        .await;
    }
    let name = make(keeper, &format!("TEMPLATE {template} STRATEGY file_copy")).await;
    run(keeper, &format!("SELECT pg_advisory_unlock_shared({MAKING})")).await;
    name
}

/// Makes an empty database.
pub(super) async fn empty(keeper: &Client) -> String {
    run(keeper, &format!("SELECT pg_advisory_lock_shared({MAKING})")).await;
    let name = make(keeper, "TEMPLATE template0 STRATEGY file_copy").await;
    run(keeper, &format!("SELECT pg_advisory_unlock_shared({MAKING})")).await;
    name
}

async fn make(keeper: &Client, from: &str) -> String {
    let name = create(keeper, from).await;
    run(
        keeper,
        &format!("SELECT pg_advisory_lock({IN_USE}, oid::int4) FROM pg_database WHERE datname = '{name}'"),
    )
    .await;
    name
}

async fn create(client: &Client, from: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // The backend's process id tells this process apart from all others that are connected now; an orphan's name could
    // come back with it, hence the time.
    let row = client
        .query_one(
            "SELECT pg_backend_pid(), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
            &[],
        )
        .await
        .expect("the server tells its time");
    let (backend, micros): (i32, i64) = (row.get(0), row.get(1));
    let name = format!(
        "{TEST_PREFIX}{micros}_{backend}_{}",
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    run(client, &format!("CREATE DATABASE {name} {from}")).await;
    name
}

/// Drops the databases whose owners are gone. Does nothing while others make theirs: they sweep as well.
pub(super) async fn sweep(client: &Client) {
    let row = client
        .query_one(&format!("SELECT pg_try_advisory_lock({MAKING})"), &[])
        .await
        .expect("a lock");
    if !row.get::<_, bool>(0) {
        return;
    }
    let orphans = client
        .query(
            &format!(
                "SELECT datname::text FROM pg_database d WHERE datname LIKE '{TEST_PREFIX}%' AND NOT EXISTS (
                     SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = {IN_USE} AND l.objid = d.oid)"
            ),
            &[],
        )
        .await
        .expect("a list of databases");
    for orphan in orphans {
        // Its owner's own drop may be under way.
        let _ = client.batch_execute(&drop_statement(orphan.get(0))).await;
    }
    run(client, &format!("SELECT pg_advisory_unlock({MAKING})")).await;
}

/// Ends all sessions of a database and drops it.
pub(super) fn drop_statement(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
}

/// True when the template was completed.
async fn is_ready(client: &Client, template: &str) -> bool {
    client
        .query_opt(
            "SELECT FROM pg_database WHERE datname = $1::text::name AND datistemplate",
            &[&template],
        )
        .await
        .expect("a look at the databases")
        .is_some()
}

async fn build(server: &Server, client: &Client, template: &str) {
    let old = client
        .query(
            &format!("SELECT datname::text FROM pg_database WHERE datname LIKE '{TEMPLATE_PREFIX}%'"),
            &[],
        )
        .await
        .expect("a list of databases");
    for old in old {
        let name: &str = old.get(0);
        run(client, &format!("ALTER DATABASE {name} IS_TEMPLATE false")).await;
        run(client, &drop_statement(name)).await;
    }
    run(client, &format!("CREATE DATABASE {template} TEMPLATE template0")).await;
    migrate(&server.settings(template))
        .await
        .unwrap_or_else(|error| panic!("the migrations fail: {error}"));
    run(
        client,
        &format!("ALTER DATABASE {template} ALLOW_CONNECTIONS false"),
    )
    .await;
    // The migrations' own session may still be ending, and no database can be cloned while one is open.
    run(
        client,
        &format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{template}'"),
    )
    .await;
    run(client, &format!("ALTER DATABASE {template} IS_TEMPLATE true")).await;
}

/// Names the content of all migrations.
fn migrations_digest() -> String {
    let mut files = Vec::new();
    list(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations"),
        &mut files,
    );
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let content = std::fs::read(&file).expect("a migration can be read");
        hash.update(file.to_string_lossy().as_bytes());
        hash.update(content.len().to_le_bytes());
        hash.update(content);
    }
    hex::encode(&hash.finalize()[..10])
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the migrations are there") {
        let path = entry.expect("the migrations can be listed").path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}

async fn run(client: &Client, sql: &str) {
    client
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// A database that nobody holds, as a dead process leaves it.
#[cfg(test)]
pub(super) async fn unlocked_for_test(client: &Client) -> String {
    create(client, "TEMPLATE template0 STRATEGY file_copy").await
}
