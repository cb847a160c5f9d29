//! The servers that are compared, each a process of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use domicile_kernel::Secret;
use domicile_zoom::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookSecret};
use serde::Serialize;
use url::Url;

use super::environment::{Addresses, SECRET};
use super::process::{Usage, reset_peak, usage};
use crate::baseline::ServerSettings;
use crate::failure::{Failure, Outcome};
use crate::request::Target;
use crate::wall;

/// How long a server may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ServerKind {
    /// The real `domicile serve`.
    Service,
    /// One INSERT a request, through a pool of 16.
    Baseline,
    /// Verifies and answers, stores nothing.
    Ceiling,
}

impl ServerKind {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Service, Self::Baseline, Self::Ceiling];

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Baseline => "baseline",
            Self::Ceiling => "ceiling",
        }
    }
}

/// How to start the process.
#[derive(Debug, Clone)]
enum Program {
    Service {
        environment: BTreeMap<String, String>,
        log: Option<PathBuf>,
    },
    Other(Box<ServerSettings>),
}

/// A running server. It is killed with this value.
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    program: Program,
    child: Child,
}

impl Server {
    /// Starts the real service, whose schema must be there, and waits until it answers. All that it logs goes into the
    /// file, or nowhere.
    pub fn service(
        addresses: Addresses,
        environment: BTreeMap<String, String>,
        log: Option<PathBuf>,
    ) -> Outcome<Self> {
        Self::start(addresses, Program::Service { environment, log })
    }

    /// Starts one of the servers to compare with, and waits until it answers.
    pub fn other(addresses: Addresses, settings: ServerSettings) -> Outcome<Self> {
        Self::start(addresses, Program::Other(Box::new(settings)))
    }

    fn start(addresses: Addresses, program: Program) -> Outcome<Self> {
        let child = spawn(&program)?;
        let mut server = Self {
            addresses,
            program,
            child,
        };
        server.wait_until_it_answers()?;
        Ok(server)
    }

    fn wait_until_it_answers(&mut self) -> Outcome {
        let start = Instant::now();
        while !answers_challenge(&self.addresses) {
            if let Some(status) = self.child.try_wait()? {
                return Err(Failure::new(format!("the server ended at its start: {status}")));
            }
            if start.elapsed() > PATIENCE {
                return Err(Failure::new("the server does not answer"));
            }
            wall::pause(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Where events go.
    pub fn target(&self) -> Outcome<Target> {
        self.target_at("/zoom/events")
    }

    /// Another of its endpoints for Zoom.
    pub fn target_at(&self, path: &str) -> Outcome<Target> {
        let url = Url::parse(&format!("http://{}{path}", self.addresses.public))?;
        Target::new(&url, &Secret::from(SECRET))
    }

    /// The process.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(0)
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        usage(self.pid())
    }

    /// Begins a new peak of its memory.
    pub fn reset_peak(&self) {
        reset_peak(self.pid());
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Outcome {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again after a [`Server::kill`], and does not wait for it.
    pub fn start_again(&mut self) -> Outcome {
        self.child = spawn(&self.program)?;
        Ok(())
    }

    /// The status with which it ended, if it has: it should not have.
    pub fn ended(&mut self) -> Option<String> {
        self.child
            .try_wait()
            .ok()
            .flatten()
            .map(|status| status.to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running `domicile work`. It is killed with this value.
#[derive(Debug)]
pub struct Worker(Child);

impl Worker {
    /// Starts it, and waits until it listens for the cluster.
    pub fn start(
        environment: &BTreeMap<String, String>,
        ops: SocketAddr,
        log: Option<&Path>,
    ) -> Outcome<Self> {
        let mut environment = environment.clone();
        environment.insert("DOMICILE_HTTP_OPS_LISTEN".to_owned(), ops.to_string());
        let child = domicile(&environment)?.arg("work").stdout(sink(log)?).spawn()?;
        let mut worker = Self(child);
        let start = Instant::now();
        while TcpStream::connect(ops).is_err() {
            if let Some(status) = worker.0.try_wait()? {
                return Err(Failure::new(format!("the worker ended at its start: {status}")));
            }
            if start.elapsed() > PATIENCE {
                return Err(Failure::new("the worker does not listen"));
            }
            wall::pause(Duration::from_millis(20));
        }
        Ok(worker)
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        usage(i32::try_from(self.0.id()).unwrap_or(0))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command of the real binary to its end, such as `migrate`.
pub(crate) fn run_domicile(environment: &BTreeMap<String, String>, argument: &str) -> Outcome {
    let output = domicile(environment)?.arg(argument).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Err(Failure(format!("domicile {argument}: {}\n{said}", output.status)))
}

/// The binary of the same build as this one.
fn domicile(environment: &BTreeMap<String, String>) -> Outcome<Command> {
    let path = beside_this("domicile")?;
    if !path.exists() {
        let text = format!("{} is missing: `cargo xtask bench` builds it", path.display());
        return Err(Failure(text));
    }
    let mut command = Command::new(path);
    command.env_clear().envs(environment).stdin(Stdio::null());
    Ok(command)
}

fn beside_this(name: &str) -> Outcome<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

fn spawn(program: &Program) -> Outcome<Child> {
    match program {
        Program::Service { environment, log } => {
            let mut command = domicile(environment)?;
            command.arg("serve").stdout(sink(log.as_deref())?);
            Ok(command.spawn()?)
        }
        Program::Other(settings) => {
            let mut child = Command::new(beside_this("bench-intake")?)
                .arg("server")
                .env_clear()
                .stdin(Stdio::piped())
                .stdout(sink(None)?)
                .spawn()?;
            if let Some(mut input) = child.stdin.take() {
                input.write_all(&serde_json::to_vec(settings.as_ref())?)?;
            }
            Ok(child)
        }
    }
}

fn sink(log: Option<&Path>) -> Outcome<Stdio> {
    Ok(match log {
        Some(path) => File::options().create(true).append(true).open(path)?.into(),
        None => Stdio::null(),
    })
}

/// A challenge of Zoom's is answered without the database, so this says that the process is up.
fn answers_challenge(addresses: &Addresses) -> bool {
    let exchange = || -> Outcome<bool> {
        let body = br#"{"event":"endpoint.url_validation","payload":{"plainToken":"ready"},"event_ts":1}"#;
        let now = wall::unix_seconds();
        let signature = WebhookSecret::new(&Secret::from(SECRET))?.sign(now, body);
        let mut stream = TcpStream::connect(addresses.public)?;
        stream.set_read_timeout(Some(Duration::from_secs(3)))?;
        write!(
            stream,
            "POST /zoom/events HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{TIMESTAMP_HEADER}: {now}\r\n\
             {SIGNATURE_HEADER}: {signature}\r\ncontent-length: {}\r\n\r\n",
            addresses.public,
            body.len()
        )?;
        stream.write_all(body)?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    exchange().unwrap_or(false)
}
