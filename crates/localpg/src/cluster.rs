//! Starting, sharing and stopping a cluster.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use crate::binaries::Binaries;
use crate::error::{Doing, LocalPgError};
use crate::home::{self, ServerUser};
use crate::server::{self, PATIENCE, PidFile, SUPERUSER, wait_until};
use crate::supervisor::{self, Hold, Plan, log_path};

/// How often another free port is tried when somebody else takes the one just found.
const PORT_TRIES: u32 = 10;

/// Whether committed data must survive a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Fast: nothing waits for the disk. A crash of the machine may spoil the data, the death of a process may not.
    /// Nothing in it is precious: data of a version whose server is gone are made anew.
    Test,
    /// PostgreSQL's own defaults.
    Real,
}

impl Durability {
    /// How connections prove the password. SCRAM costs a debug build's client 50 ms each time; over loopback, to a
    /// throw-away server, the plain password is as good.
    fn auth(self) -> &'static str {
        match self {
            Self::Test => "password",
            Self::Real => "scram-sha-256",
        }
    }
}

/// What kind of cluster is wanted, and where.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// The cluster's folder; made if absent, reused if not. Root's clusters may lie elsewhere, see [`Cluster::folder`].
    pub data_dir: PathBuf,
    /// Where fetched server binaries are kept, shared by all clusters of a source tree.
    pub tools_dir: PathBuf,
    /// Whether writes wait for the disk.
    pub durability: Durability,
    /// The port on 127.0.0.1; a free one if none.
    pub port: Option<u16>,
    /// The server to use; found or fetched if none.
    pub binaries: Option<Binaries>,
    /// Variables that the server's processes have besides the few that they always have.
    pub variables: Vec<(String, String)>,
    /// Is told of steps that take long, such as a download.
    pub note: fn(&str),
}

impl ClusterSettings {
    /// A fast cluster on any free port.
    pub fn new(data_dir: impl Into<PathBuf>, tools_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            tools_dir: tools_dir.into(),
            durability: Durability::Test,
            port: None,
            binaries: None,
            variables: Vec::new(),
            note: |_| {},
        }
    }

    /// Chooses whether writes wait for the disk.
    #[must_use]
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Asks for this port; [`LocalPgError::PortTaken`] if another program has it.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self {
            port: Some(port),
            ..self
        }
    }

    /// Uses this server and looks for no other.
    #[must_use]
    pub fn binaries(self, binaries: Binaries) -> Self {
        Self {
            binaries: Some(binaries),
            ..self
        }
    }

    /// Gives the server's processes a variable more, such as `LD_PRELOAD`.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Says who is told of slow steps.
    #[must_use]
    pub fn note(self, note: fn(&str)) -> Self {
        Self { note, ..self }
    }
}

/// A running server, for as long as this value lives.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    port: u16,
    password: String,
    hold: Option<Hold>,
    /// Absent where the server is shared: then nobody waits for its end.
    supervisor: Option<Child>,
    /// Kept so that no second owner starts on the same data.
    _lock: Option<File>,
}

impl Cluster {
    /// Starts a cluster with one owner: this process. The server ends with it, by whatever death.
    ///
    /// Blocks until the server takes connections.
    pub fn start(settings: &ClusterSettings) -> Result<Self, LocalPgError> {
        let user = ServerUser::choose()?;
        let folder = home::make(&settings.data_dir, &user)?;
        let lock = open_lock(&folder)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LocalPgError::InUse { folder }),
            Err(TryLockError::Error(error)) => return Err(error).doing(|| "locking a cluster".to_owned()),
        }
        let launch = Launch {
            settings,
            user,
            folder,
            linger: Duration::ZERO,
            scratch: false,
        };
        launch.run(Some(lock))
    }

    /// Starts a cluster in a new folder, in memory where there is enough, which is removed when the server ends.
    pub fn scratch(tools_dir: impl Into<PathBuf>, note: fn(&str)) -> Result<Self, LocalPgError> {
        let user = ServerUser::choose()?;
        let folder = home::make_scratch(&user)?;
        let settings = ClusterSettings::new(&folder, tools_dir).note(note);
        Launch {
            settings: &settings,
            user,
            folder,
            linger: Duration::ZERO,
            scratch: true,
        }
        .run(None)
    }

    /// Uses the cluster of this folder together with other processes: the first starts the server, which ends `linger`
    /// after the last of them. The port is the first one's.
    pub fn join(settings: &ClusterSettings, linger: Duration) -> Result<Self, LocalPgError> {
        let user = ServerUser::choose()?;
        let folder = home::make(&settings.data_dir, &user)?;
        let lock = open_lock(&folder)?;
        lock.lock().doing(|| "locking a cluster".to_owned())?;
        if let Some(hold) = supervisor::join(&folder)
            && let Some(PidFile {
                port: Some(port),
                ready: true,
                ..
            }) = PidFile::read(&folder)
        {
            let password = server::password(&folder)?;
            return Ok(Self {
                folder,
                port,
                password,
                hold: Some(hold),
                supervisor: None,
                _lock: None,
            });
        }
        let mut cluster = Launch {
            settings,
            user,
            folder,
            linger,
            scratch: false,
        }
        .run(None)?;
        cluster.supervisor = None;
        Ok(cluster)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The cluster's folder, where its data and `server.log` lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The connection string of the superuser for one database; `sslmode=disable`, since the server is on loopback and has no
    /// certificate. It holds the password.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}?sslmode=disable",
            self.password, self.port
        )
    }

    /// Makes a database if it is absent; true if it was.
    ///
    /// Blocks; it may be called inside or outside a runtime.
    pub fn create_database(&self, name: &str) -> Result<bool, LocalPgError> {
        let url = self.url("postgres");
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let name = name.to_owned();
        // A runtime of its own: the caller's may be anything, or none.
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime
                .doing(|| "building a runtime".to_owned())?
                .block_on(async {
                    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
                        .await
                        .map_err(LocalPgError::Database)?;
                    let connection = tokio::spawn(connection);
                    let made = async {
                        let known = client
                            .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])
                            .await?
                            .is_some();
                        if !known {
                            client.batch_execute(&format!("CREATE DATABASE {quoted}")).await?;
                        }
                        Ok(!known)
                    };
                    let made = made.await.map_err(LocalPgError::Database);
                    connection.abort();
                    made
                })
        };
        std::thread::spawn(work)
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Stops the server and waits for its end. Dropping does the same and swallows the error.
    pub fn stop(mut self) -> Result<(), LocalPgError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), LocalPgError> {
        self.hold = None;
        let Some(mut supervisor) = self.supervisor.take() else {
            return Ok(());
        };
        let pid = PidFile::read(&self.folder).map_or(0, |file| file.pid);
        if !wait_until(PATIENCE / 2, || !matches!(supervisor.try_wait(), Ok(None))) {
            server::end_leftover(&self.folder)?;
            if !wait_until(PATIENCE / 2, || !matches!(supervisor.try_wait(), Ok(None))) {
                return Err(LocalPgError::WontStop { pid });
            }
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn open_lock(folder: &Path) -> Result<File, LocalPgError> {
    let path = folder.join("owner.lock");
    File::options()
        .create(true)
        .append(true)
        .open(&path)
        .doing(|| format!("opening {}", path.display()))
}

/// One start of a server.
struct Launch<'a> {
    settings: &'a ClusterSettings,
    user: ServerUser,
    folder: PathBuf,
    linger: Duration,
    scratch: bool,
}

/// How one attempt ended.
enum Attempt {
    Ready(Child, Hold),
    PortTaken,
}

impl Launch<'_> {
    /// Makes the data if need be and starts the server, on another port if somebody was faster.
    fn run(mut self, lock: Option<File>) -> Result<Cluster, LocalPgError> {
        server::end_leftover(&self.folder)?;
        let major = server::data_major(&self.folder);
        let binaries = self.binaries(major)?;
        if let Some(found) = major.filter(|major| *major != binaries.major) {
            if self.settings.durability == Durability::Real {
                return Err(LocalPgError::OtherVersion {
                    folder: self.folder,
                    found,
                    have: binaries.major,
                });
            }
            server::remove_data(&self.folder)?;
        }
        let binaries = home::reachable_binaries(binaries, &self.user)?;
        let mut tries = 0;
        loop {
            if self.scratch && !self.folder.exists() {
                // The failed attempt's supervisor has removed it.
                self.folder = home::make_scratch(&self.user)?;
            }
            if server::data_major(&self.folder).is_none() {
                server::init(
                    &self.folder,
                    &binaries,
                    &self.user,
                    self.settings.durability.auth(),
                )?;
            }
            let password = server::password(&self.folder)?;
            let port = self.settings.port.map_or_else(free_port, Ok)?;
            tries += 1;
            match self.attempt(&binaries, port)? {
                Attempt::Ready(child, hold) => {
                    let (hold, supervisor) = (Some(hold), Some(child));
                    return Ok(Cluster {
                        folder: self.folder,
                        port,
                        password,
                        hold,
                        supervisor,
                        _lock: lock,
                    });
                }
                Attempt::PortTaken if self.settings.port.is_none() && tries < PORT_TRIES => {}
                Attempt::PortTaken => return Err(LocalPgError::PortTaken { port }),
            }
        }
    }

    /// The settings' server; else one that reads the present data; else any.
    fn binaries(&self, major: Option<u32>) -> Result<Binaries, LocalPgError> {
        let settings = self.settings;
        if let Some(binaries) = &settings.binaries {
            return Ok(binaries.clone());
        }
        match Binaries::find(&settings.tools_dir, major, settings.note) {
            Err(LocalPgError::NoServer { .. }) if major.is_some() => {
                Binaries::find(&settings.tools_dir, None, settings.note)
            }
            found => found,
        }
    }

    fn attempt(&self, binaries: &Binaries, port: u16) -> Result<Attempt, LocalPgError> {
        let before = PidFile::read(&self.folder).map(|file| file.text);
        let log = log_path(&self.folder);
        // One start's log is enough, and it says why this start failed.
        fs::write(&log, "").doing(|| format!("writing {}", log.display()))?;
        self.user.own(&log, 0o600)?;
        let plan = Plan {
            home: &self.folder,
            linger: self.linger,
            scratch: self.scratch,
            command: self.command(binaries, port),
        };
        let (mut child, hold) = supervisor::start(&plan, &self.user)?;
        let mut ended = false;
        let decided = wait_until(PATIENCE, || {
            ended = !matches!(child.try_wait(), Ok(None));
            let file = PidFile::read(&self.folder);
            ended || file.is_some_and(|file| file.ready && Some(&file.text) != before.as_ref())
        });
        if decided && !ended {
            return Ok(Attempt::Ready(child, hold));
        }
        let output = fs::read_to_string(&log).unwrap_or_default();
        drop(hold);
        let _ = child.wait();
        if output.contains("could not bind") || output.contains("could not create any TCP/IP sockets") {
            return Ok(Attempt::PortTaken);
        }
        Err(LocalPgError::Program {
            program: "postgres",
            output,
        })
    }

    fn command(&self, binaries: &Binaries, port: u16) -> Vec<OsString> {
        // `env` becomes the server, so that the shell beside it has none of the variables.
        let variables = &self.settings.variables;
        let mut command: Vec<OsString> = (!variables.is_empty())
            .then(|| "env".into())
            .into_iter()
            .collect();
        command.extend(
            variables
                .iter()
                .map(|(name, value)| format!("{name}={value}").into()),
        );
        command.extend([
            binaries.folder.join("postgres").into_os_string(),
            "-D".into(),
            server::data_path(&self.folder).into_os_string(),
        ]);
        let mut set = |setting: &str| command.extend(["-c".into(), OsString::from(setting)]);
        set(&format!("port={port}"));
        set("listen_addresses=127.0.0.1");
        // No socket files: their folder would need to be short, private and reachable for both users.
        set("unix_socket_directories=");

        set("timezone=UTC");
        set("log_timezone=UTC");
        if self.settings.durability == Durability::Real {
            set("max_connections=200");
        } else {
            for setting in [
                "max_connections=500",
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
                "wal_level=minimal",
                "max_wal_senders=0",
                "max_wal_size=4GB",
                "checkpoint_timeout=1h",
            ] {
                set(setting);
            }
        }
        command
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, LocalPgError> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .doing(|| "finding a free port".to_owned())
}
