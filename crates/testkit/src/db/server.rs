//! The server on which the test databases live.

use std::path::Path;
use std::time::Duration;

use domicile_kernel::Secret;
use domicile_localpg::{Cluster, ClusterSettings};
use domicile_store::DbSettings;
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

use super::SERVER_URL_VARIABLE;
use super::template;

/// The database to which one connects in order to make others.
pub(super) const MAINTENANCE: &str = "postgres";

/// How long a shared server outlives its last test process: the next test run mostly finds it running.
const LINGER: Duration = Duration::from_secs(30);

/// A server for the whole life of this process.
pub(super) enum Server {
    /// The one that the environment names.
    Given(url::Url),
    /// The one that concurrent test processes share.
    Shared(Cluster),
}

impl Server {
    /// The server, started or found at the first call.
    pub(super) async fn get() -> &'static Self {
        static SERVER: OnceCell<Server> = OnceCell::const_new();
        SERVER
            .get_or_init(|| async {
                let server = tokio::task::spawn_blocking(find)
                    .await
                    .expect("the server's thread ended");
                template::sweep(&server.connect().await).await;
                server
            })
            .await
    }

    /// The connection string for one database.
    pub(super) fn url(&self, database: &str) -> Secret<String> {
        match self {
            Self::Given(url) => {
                let mut url = url.clone();
                url.set_path(database);
                Secret::new(url.into())
            }
            Self::Shared(cluster) => Secret::new(cluster.url(database)),
        }
    }

    /// The store's settings for one database.
    pub(super) fn settings(&self, database: &str) -> DbSettings {
        DbSettings::parse(&self.url(database)).expect("a test server's URL is one that the store accepts")
    }

    /// Connects to the maintenance database.
    pub(super) async fn connect(&self) -> Client {
        connect(&self.url(MAINTENANCE)).await
    }
}

fn find() -> Server {
    if let Some(url) = std::env::var_os(SERVER_URL_VARIABLE) {
        let url = url.to_str().and_then(|url| url::Url::parse(url).ok());
        return Server::Given(url.unwrap_or_else(|| panic!("{SERVER_URL_VARIABLE} is not a URL")));
    }
    let private = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.domicile");
    let settings = ClusterSettings::new(private.join("testpg"), private.join("tools"))
        .note(|text| tracing::info!("{text}"));
    Server::Shared(Cluster::join(&settings, LINGER).unwrap_or_else(|error| panic!("no test server: {error}")))
}

/// Connects, or ends the test.
pub(super) async fn connect(url: &Secret<String>) -> Client {
    try_connect(url)
        .await
        .unwrap_or_else(|error| panic!("the test server refuses a connection: {error:?}"))
}

/// Connects.
pub(super) async fn try_connect(url: &Secret<String>) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url.expose(), NoTls).await?;
    // Its error, if any, comes back from the statement that was under way.
    tokio::spawn(connection);
    Ok(client)
}
