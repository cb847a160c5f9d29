//! What can go wrong, in words that say what to do.

use std::io;
use std::path::PathBuf;

/// A private cluster could not be made, started or used.
#[derive(Debug, thiserror::Error)]
pub enum LocalPgError {
    /// No server binaries were found and none could be fetched.
    #[error("no PostgreSQL server {wanted} was found, and none could be fetched ({tried})\nRun: {command}")]
    NoServer {
        /// The versions that would do.
        wanted: String,
        /// What was tried, and why it failed.
        tried: String,
        /// The command that installs a server on this machine.
        command: String,
    },
    /// The folder's data belong to another major version.
    #[error(
        "{folder} holds data of PostgreSQL {found}, and the server is version {have}; use {found} or remove the folder"
    )]
    OtherVersion {
        /// The cluster's folder.
        folder: PathBuf,
        /// The major version that wrote the data.
        found: u32,
        /// The major version of the binaries at hand.
        have: u32,
    },
    /// Another process owns the cluster.
    #[error("{folder} is in use by another process")]
    InUse {
        /// The cluster's folder.
        folder: PathBuf,
    },
    /// The wanted port is taken.
    #[error("port {port} on 127.0.0.1 is in use by another program")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// Root needs an ordinary user to run the server.
    #[error("PostgreSQL refuses to run as root, and neither the user postgres nor nobody exists")]
    NoUser,
    /// A folder that others could have prepared is not ours.
    #[error("{folder} exists and belongs to someone else; remove it")]
    NotOurs {
        /// The folder.
        folder: PathBuf,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} failed:\n{output}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The end of what it said.
        output: String,
    },
    /// A server of an earlier run on this data does not end.
    #[error("the server {pid} of an earlier run does not stop")]
    WontStop {
        /// Its process id.
        pid: u32,
    },
    /// A statement of ours failed.
    #[error("a database could not be made")]
    Database(#[source] tokio_postgres::Error),
    /// The operating system refused something.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// The refusal.
        #[source]
        source: io::Error,
    },
}

/// Names what was being done when the operating system refused.
pub(crate) trait Doing<T> {
    /// Adds the words.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, LocalPgError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, LocalPgError> {
        self.map_err(|error| LocalPgError::Io {
            doing: what(),
            source: error.into(),
        })
    }
}
