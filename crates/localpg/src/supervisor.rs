//! Ties a server's life to its users' lives.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::error::{Doing, LocalPgError};
use crate::home::ServerUser;

/// The shell program that waits beside the server.
const SCRIPT: &str = include_str!("supervisor.sh");

/// Keeps the server running: the writing end of the supervisor's FIFO.
#[derive(Debug)]
pub(crate) struct Hold {
    /// Held open only; the kernel closes it when the process dies.
    _fifo: File,
}

/// What the supervisor is told.
pub(crate) struct Plan<'a> {
    /// The cluster's folder.
    pub(crate) home: &'a Path,
    /// How long the server outlives its last user.
    pub(crate) linger: Duration,
    /// Removes the folder at the end.
    pub(crate) scratch: bool,
    /// The server's program and arguments.
    pub(crate) command: Vec<OsString>,
}

/// Starts a server under a new supervisor.
pub(crate) fn start(plan: &Plan<'_>, user: &ServerUser) -> Result<(Child, Hold), LocalPgError> {
    let fifo = fifo_path(plan.home);
    let marker = marker_path(plan.home);
    if let Err(error) = fs::remove_file(&fifo)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error).doing(|| format!("removing {}", fifo.display()));
    }
    // It is absent nearly always.
    let _ = fs::remove_dir(&marker);
    mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).doing(|| format!("making {}", fifo.display()))?;
    user.own(&fifo, 0o600)?;

    // Open for both first: neither of the other ends then blocks or misses its peer.
    let both = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&fifo)
        .doing(|| "opening a FIFO".to_owned())?;
    let reading = File::open(&fifo).doing(|| "opening a FIFO".to_owned())?;
    let hold = hold(plan.home)?;
    let child = user
        .command("/bin/sh")
        .args(["-c", SCRIPT, "domicile-localpg"])
        .arg(plan.linger.as_secs().to_string())
        .arg(&marker)
        .arg(log_path(plan.home))
        .arg(if plan.scratch {
            plan.home.as_os_str()
        } else {
            "".as_ref()
        })
        .args(&plan.command)
        .stdin(Stdio::from(reading))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C reaches the owner alone, which stops its own work before the database.
        .process_group(0)
        .spawn()
        .doing(|| "starting the server".to_owned())?;
    drop(both);
    Ok((child, hold))
}

/// Becomes a user of a server that somebody started before; an error when none is running or it is about to stop.
pub(crate) fn join(home: &Path) -> Option<Hold> {
    let hold = hold(home).ok()?;
    (!marker_path(home).exists()).then_some(hold)
}

/// Opens the writing end and says so. Fails at once when no supervisor is reading.
fn hold(home: &Path) -> Result<Hold, LocalPgError> {
    let opened = OpenOptions::new()
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(fifo_path(home))
        .and_then(|mut fifo| fifo.write_all(b"\n").map(|()| fifo));
    Ok(Hold {
        _fifo: opened.doing(|| "opening a FIFO".to_owned())?,
    })
}

fn fifo_path(home: &Path) -> PathBuf {
    home.join("users.fifo")
}

fn marker_path(home: &Path) -> PathBuf {
    home.join("stopping")
}

/// The server's log.
pub(crate) fn log_path(home: &Path) -> PathBuf {
    home.join("server.log")
}
