//! A database for each test.

mod plan;
mod server;
mod template;

use domicile_kernel::Secret;
use domicile_store::{Db, DbSettings};
use tokio_postgres::Client;

use server::Server;

pub use plan::rows_read;

/// The environment variable that names a running server's maintenance database; `cargo xtask test` sets it.
pub const SERVER_URL_VARIABLE: &str = "DOMICILE_TEST_DATABASE_URL";

/// A database that no other test sees. It is dropped with this value; if the process dies first, a later one drops it.
pub struct TestDb {
    server: &'static Server,
    name: String,
    db: Db,
    /// Its session holds the lock that says that the database is in use.
    keeper: Client,
}

impl TestDb {
    /// Makes a database with all migrations applied.
    ///
    /// # Panics
    ///
    /// When there is no server or the migrations fail, with the reason.
    pub async fn create() -> Self {
        let server = Server::get().await;
        let keeper = server.connect().await;
        let name = template::clone(server, &keeper).await;
        Self::open(server, keeper, name)
    }

    /// Makes a database with nothing in it, for tests of the migrations themselves.
    ///
    /// # Panics
    ///
    /// When there is no server, with the reason.
    pub async fn empty() -> Self {
        let server = Server::get().await;
        let keeper = server.connect().await;
        let name = template::empty(&keeper).await;
        Self::open(server, keeper, name)
    }

    fn open(server: &'static Server, keeper: Client, name: String) -> Self {
        let db = Db::new(server.settings(&name)).expect("a pool for a test database");
        Self {
            server,
            name,
            db,
            keeper,
        }
    }

    /// The pool of this database. Clones share its connections.
    pub fn db(&self) -> Db {
        self.db.clone()
    }

    /// Settings of the same database, for a second pool or for migrations.
    pub fn settings(&self) -> DbSettings {
        self.server.settings(&self.name)
    }

    /// The connection string, for another process or another client.
    pub fn url(&self) -> Secret<String> {
        self.server.url(&self.name)
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A plain connection beside the pool, for looking at rows and at what the server knows.
    ///
    /// # Panics
    ///
    /// When the server refuses it.
    pub async fn client(&self) -> Client {
        server::connect(&self.url()).await
    }
}

impl TestDb {
    /// Ends every connection to this database and lets nobody in until [`TestDb::come_back`].
    ///
    /// # Panics
    ///
    /// When the server refuses it.
    pub async fn go_away(&self) {
        let name = &self.name;
        self.keeper
            .batch_execute(&format!(
                "ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS false; \
                 SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            ))
            .await
            .expect("a database that lets nobody in");
    }

    /// Lets nobody in who is not in already, as a server that has no more connections to give, until [`TestDb::come_back`].
    ///
    /// # Panics
    ///
    /// When the server refuses it.
    pub async fn let_nobody_in(&self) {
        let name = &self.name;
        self.keeper
            .batch_execute(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS false"))
            .await
            .expect("a database that lets nobody in");
    }

    /// Lets everybody in again.
    ///
    /// # Panics
    ///
    /// When the server refuses it.
    pub async fn come_back(&self) {
        let name = &self.name;
        self.keeper
            .batch_execute(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS true"))
            .await
            .expect("a database that lets everybody in");
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let url = self.server.url(server::MAINTENANCE);
        let statement = template::drop_statement(&self.name);
        // A thread with a runtime of its own: the test's runtime may be ending or have one thread only.
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let client = server::try_connect(&url).await?;
                client.batch_execute(&statement).await
            })?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        };
        // Whatever fails here, the next test process drops it.
        let _ = std::thread::spawn(work).join();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    async fn names(client: &Client) -> HashSet<String> {
        let rows = client
            .query("SELECT datname::text FROM pg_database", &[])
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    #[tokio::test]
    async fn a_test_has_a_migrated_database_of_its_own() {
        let (one, two) = (TestDb::create().await, TestDb::create().await);
        assert_ne!(one.name(), two.name());
        domicile_store::check_schema(&one.db()).await.unwrap();
        one.client()
            .await
            .batch_execute("DROP TABLE links CASCADE")
            .await
            .unwrap();
        let links = two.client().await.query("SELECT FROM links", &[]).await.unwrap();
        assert_eq!(links.len(), 0);
    }

    #[tokio::test]
    async fn it_is_gone_after_the_test_even_with_connections_open() {
        let watcher = TestDb::empty().await;
        let gone = TestDb::create().await;
        let name = gone.name().to_owned();
        let _open = gone.client().await;
        let _pooled = gone.db().conn().await.unwrap();
        let looking = watcher.client().await;
        assert!(names(&looking).await.contains(&name));
        drop(gone);
        assert!(!names(&looking).await.contains(&name));
    }

    #[tokio::test]
    async fn what_a_dead_process_left_is_swept_and_what_lives_is_not() {
        let living = TestDb::create().await;
        let maintenance = Server::get().await.connect().await;
        let orphan = template::unlocked_for_test(&maintenance).await;
        // A sweep gives way to tests that are making their databases, and any process may be the one that sweeps.
        while names(&maintenance).await.contains(&orphan) {
            template::sweep(&maintenance).await;
        }
        assert!(names(&maintenance).await.contains(living.name()));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn databases_are_made_at_the_same_time() {
        let made = futures_util::future::join_all((0..6).map(|_| TestDb::create())).await;
        let names: HashSet<&str> = made.iter().map(TestDb::name).collect();
        assert_eq!(names.len(), 6);
    }
}
