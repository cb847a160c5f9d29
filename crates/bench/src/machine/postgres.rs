//! A private PostgreSQL with its own durable defaults, and every way in which it can be in trouble.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domicile_localpg::{Cluster, ClusterSettings, Durability};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use super::process::{children, family_cpu_seconds, is_alive, pss_kb};
use super::shim;
use crate::failure::{Failure, Outcome};
use crate::wall;

/// A folder on a real disk: the temporary folder may lie in memory, where fsync costs nothing.
const ON_DISK: &str = "/var/tmp";
/// How long processes that were killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server of a run; its data are removed with this value.
#[derive(Debug)]
pub struct Postgres {
    /// Before the folder, so that the server has ended when that is removed.
    cluster: Option<Cluster>,
    settings: ClusterSettings,
    folder: PathBuf,
    home: TempDir,
}

impl Postgres {
    /// Starts a new one, with `fsync` and `synchronous_commit` on as PostgreSQL has them. Every fsync of it takes longer
    /// by the delay.
    pub fn start(fsync_delay: Duration) -> Outcome<Self> {
        let home = tempfile::Builder::new()
            .prefix("domicile-bench-")
            .tempdir_in(ON_DISK)?;
        // The server may run as another user, who must be able to pass.
        fs::set_permissions(home.path(), Permissions::from_mode(0o755))?;
        let mut settings = ClusterSettings::new(home.path().join("postgresql"), tools())
            .durability(Durability::Real)
            .note(|text| eprintln!("bench: {text}"));
        if !fsync_delay.is_zero() {
            for (name, value) in shim::environment(home.path(), fsync_delay)? {
                settings = settings.variable(name, value);
            }
        }
        let cluster = Cluster::start(&settings)?;
        Ok(Self {
            // It must be found again after each restart.
            settings: settings.port(cluster.port()),
            folder: cluster.folder().to_owned(),
            cluster: Some(cluster),
            home,
        })
    }

    /// A folder beside the data that lives as long.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    fn cluster(&self) -> Outcome<&Cluster> {
        self.cluster
            .as_ref()
            .ok_or_else(|| Failure::new("PostgreSQL is not running"))
    }

    /// The connection string of a database.
    pub fn url(&self, database: &str) -> Outcome<String> {
        Ok(self.cluster()?.url(database))
    }

    /// Makes a database.
    pub fn create_database(&self, name: &str) -> Outcome {
        self.cluster()?.create_database(name)?;
        Ok(())
    }

    /// Runs work on a connection of its own.
    pub fn with<T>(&self, database: &str, work: impl AsyncFnOnce(&Client) -> Outcome<T>) -> Outcome<T> {
        let url = self.url(database)?;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(async {
                let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
                let connection = tokio::spawn(connection);
                let result = work(&client).await;
                connection.abort();
                result
            })
    }

    /// Runs statements.
    pub fn run(&self, database: &str, sql: &str) -> Outcome {
        self.with(database, async |client| Ok(client.batch_execute(sql).await?))
    }

    /// Processor time of the server and all its processes since its start, those that have ended among them.
    pub fn cpu_seconds(&self) -> f64 {
        self.postmaster().map_or(0.0, family_cpu_seconds)
    }

    /// Memory of all its processes now; what they share is counted once.
    pub fn memory_kb(&self) -> u64 {
        self.processes().into_iter().map(pss_kb).sum()
    }

    fn postmaster(&self) -> Option<i32> {
        let text = fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// The postmaster first.
    fn processes(&self) -> Vec<i32> {
        self.postmaster()
            .into_iter()
            .flat_map(|parent| std::iter::once(parent).chain(children(parent)))
            .collect()
    }

    /// Stops it as an operator would ("fast"): connections are ended, what is committed is on disk.
    pub fn stop(&mut self) -> Outcome {
        if let Some(cluster) = self.cluster.take() {
            cluster.stop()?;
        }
        Ok(())
    }

    /// Starts it again on the same data and port, and waits until it takes connections.
    pub fn start_again(&mut self) -> Outcome {
        if self.cluster.is_none() {
            self.cluster = Some(Cluster::start(&self.settings)?);
        }
        Ok(())
    }

    /// `kill -9` of every process of it at once.
    pub fn kill(&mut self) -> Outcome {
        if let Some(postmaster) = self.postmaster() {
            // So that it starts no further process in between.
            signal(postmaster, Signal::SIGSTOP);
        }
        let processes = self.processes();
        for pid in &processes {
            signal(*pid, Signal::SIGKILL);
        }
        let start = Instant::now();
        while processes.iter().any(|pid| is_alive(*pid)) {
            if start.elapsed() > PATIENCE {
                return Err(Failure::new("PostgreSQL's processes outlived kill -9"));
            }
            wall::pause(Duration::from_millis(5));
        }
        // The supervisor has seen the end and follows.
        self.stop()
    }

    /// Stops every process of it in its tracks, with all connections open.
    pub fn freeze(&self) -> Frozen {
        let mut frozen = Vec::new();
        // The postmaster first, then also what it had just started.
        for _ in 0..2 {
            for pid in self.processes() {
                if !frozen.contains(&pid) {
                    signal(pid, Signal::SIGSTOP);
                    frozen.push(pid);
                }
            }
        }
        Frozen(frozen)
    }
}

/// Processes that are frozen until this value is dropped.
#[derive(Debug)]
pub struct Frozen(Vec<i32>);

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.0 {
            signal(*pid, Signal::SIGCONT);
        }
    }
}

fn signal(pid: i32, signal: Signal) {
    // It may have ended in the meantime.
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Where fetched server binaries are kept, as for every other command of the source tree.
fn tools() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).join(".domicile/tools")
}
