//! The pool and its transactions.

use std::sync::Arc;
use std::time::Instant;

use diesel::ConnectionError;
use diesel_async::pooled_connection::deadpool::{Object, Pool, PoolError};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, TransactionManager};
use domicile_kernel::Timestamp;
use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::{Instrument, info_span, warn};

use crate::error::StoreError;
use crate::metrics::METRICS;
use crate::settings::DbSettings;
use crate::tls::{self, Connected};
use crate::wake;

/// One connection, as queries take it.
pub type Conn = AsyncPgConnection;
/// A connection that goes back to the pool when it is dropped.
pub type PooledConn = Object<AsyncPgConnection>;

/// How often a transaction is begun before a conflict becomes an error.
const MAX_ROUNDS: u32 = 5;

/// An async closure over one connection whose future may move between threads.
pub trait TxFn<'c, T, E>: Fn(&'c mut Conn) -> Self::Future + Send + Sync {
    /// What it returns.
    type Future: Future<Output = Result<T, E>> + Send;
}

impl<'c, F, Fut, T, E> TxFn<'c, T, E> for F
where
    F: Fn(&'c mut Conn) -> Fut + Send + Sync,
    Fut: Future<Output = Result<T, E>> + Send,
{
    type Future = Fut;
}

/// An error of a transaction's closure, which says whether the store is behind it.
pub trait TxError: From<StoreError> + Send {
    /// The store's error, if it is one.
    fn as_store_error(&self) -> Option<&StoreError>;
}

impl TxError for StoreError {
    fn as_store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}

/// The database of the region.
#[derive(Clone)]
pub struct Db {
    pool: Pool<AsyncPgConnection>,
    settings: Arc<DbSettings>,
}

/// How many connections of the pool are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// In use.
    pub used: usize,
    /// Open and free.
    pub idle: usize,
    /// Callers that wait for one.
    pub waiting: usize,
    /// The most that there may be.
    pub max: usize,
}

impl Db {
    /// Makes the pool. Connections are opened when they are first needed, and are driven by the tokio runtime in which
    /// this is called, whichever runtime asks for them: an HTTP worker that ends takes no connection with it.
    pub fn new(settings: DbSettings) -> Result<Self, StoreError> {
        let settings = Arc::new(settings);
        let runtime = Handle::try_current().map_err(tls::unavailable)?;
        let mut config = ManagerConfig::default();
        config.recycling_method = RecyclingMethod::Fast;
        let for_setup = Arc::clone(&settings);
        config.custom_setup = Box::new(move |_url| {
            let settings = Arc::clone(&for_setup);
            let opening = runtime.spawn(async move { establish(&settings).await });
            async move {
                match opening.await {
                    Ok(opened) => opened.map_err(|error| ConnectionError::BadConnection(chain(&error))),
                    Err(stopped) => Err(ConnectionError::BadConnection(stopped.to_string())),
                }
            }
            .boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(String::new(), config);
        let pool = Pool::builder(manager)
            .max_size(settings.max_connections)
            .build()
            .map_err(tls::unavailable)?;
        Ok(Self { pool, settings })
    }

    /// The settings that it was made with.
    pub fn settings(&self) -> &DbSettings {
        &self.settings
    }

    /// A connection for reads that need no transaction.
    pub async fn conn(&self) -> Result<PooledConn, StoreError> {
        match timeout(self.settings.wait_timeout, self.pool.get()).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(PoolError::Timeout(_))) | Err(_) => Err(StoreError::PoolTimeout),
            Ok(Err(error)) => Err(tls::unavailable(error)),
        }
    }

    /// What time it is at the database.
    pub async fn time(&self) -> Result<Timestamp, StoreError> {
        let clock = diesel::dsl::sql::<diesel::sql_types::Timestamptz>("clock_timestamp()");
        Ok(diesel::select(clock).get_result(&mut *self.conn().await?).await?)
    }

    /// The pool at this moment.
    pub fn pool_state(&self) -> PoolState {
        let status = self.pool.status();
        PoolState {
            used: status.size.saturating_sub(status.available),
            idle: status.available,
            waiting: status.waiting,
            max: status.max_size,
        }
    }

    /// Runs the closure in one transaction with this name, and repeats it after a deadlock or conflict.
    pub async fn run_tx<T, E, F>(&self, name: &'static str, f: F) -> Result<T, E>
    where
        F: for<'c> TxFn<'c, T, E>,
        T: Send,
        E: TxError,
    {
        let started = Instant::now();
        let span = info_span!(
            "transaction",
            otel.kind = "client",
            db.system.name = "postgresql",
            db.operation.name = name,
        );
        let result = self.rounds(name, &f).instrument(span).await;
        METRICS.transaction(name, started.elapsed().as_secs_f64(), result.is_ok());
        result
    }

    async fn rounds<T, E, F>(&self, name: &'static str, f: &F) -> Result<T, E>
    where
        F: for<'c> TxFn<'c, T, E>,
        T: Send,
        E: TxError,
    {
        for _ in 1..MAX_ROUNDS {
            match self.round(f).await {
                Err(error) if matches!(error.as_store_error(), Some(StoreError::Conflict { .. })) => {
                    METRICS.repeat(name);
                }
                result => return result,
            }
        }
        self.round(f).await.map_err(|error| match error.as_store_error() {
            Some(StoreError::Conflict { .. }) => E::from(StoreError::Conflict { name }),
            _ => error,
        })
    }

    async fn round<T, E, F>(&self, f: &F) -> Result<T, E>
    where
        F: for<'c> TxFn<'c, T, E>,
        T: Send,
        E: TxError,
    {
        // The pool closes a connection that comes back with its transaction open, as after a cancelled request.
        let mut conn = self.conn().await?;
        let conn: &mut Conn = &mut conn;
        Manager::begin_transaction(conn).await.map_err(StoreError::from)?;
        match wake::collecting(f(conn)).await {
            (Ok(value), wakes) => {
                Manager::commit_transaction(conn)
                    .await
                    .map_err(StoreError::from)?;
                wake::send(conn, wakes).await;
                Ok(value)
            }
            (Err(error), _) => {
                if let Err(rollback) = Manager::rollback_transaction(conn).await {
                    warn!(error = %rollback, "a transaction could not be rolled back; its connection is closed");
                }
                Err(error)
            }
        }
    }
}

type Manager = <Conn as AsyncConnection>::TransactionManager;

/// Opens one connection outside the pool.
pub(crate) async fn establish(settings: &DbSettings) -> Result<Conn, StoreError> {
    match tls::connect(settings).await? {
        Connected::Plain(client, connection) => {
            Conn::try_from_client_and_connection(client, *connection).await
        }
        Connected::Tls(client, connection) => Conn::try_from_client_and_connection(client, *connection).await,
    }
    .map_err(tls::unavailable)
}

/// The whole chain of causes: diesel's connection error keeps only a text.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
