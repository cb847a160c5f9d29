//! The server's own files: its data, its lock file, its log.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::binaries::Binaries;
use crate::error::{Doing, LocalPgError};
use crate::home::ServerUser;

/// The superuser of every private cluster.
pub(crate) const SUPERUSER: &str = "domicile";

/// How long a server may take to start or to stop; a recovery after a crash can take this long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The data folder inside a cluster's folder.
pub(crate) fn data_path(home: &Path) -> PathBuf {
    home.join("data")
}

fn password_path(home: &Path) -> PathBuf {
    home.join("password")
}

/// The major version that wrote the data, if there are any.
pub(crate) fn data_major(home: &Path) -> Option<u32> {
    fs::read_to_string(data_path(home).join("PG_VERSION"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Reads the superuser's password.
pub(crate) fn password(home: &Path) -> Result<String, LocalPgError> {
    let path = password_path(home);
    fs::read_to_string(&path).doing(|| format!("reading {}", path.display()))
}

/// Makes the data folder, all or nothing: an interrupted attempt is removed by the next.
pub(crate) fn init(
    home: &Path,
    binaries: &Binaries,
    user: &ServerUser,
    auth: &str,
) -> Result<(), LocalPgError> {
    let unfinished = home.join("data.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).doing(|| format!("removing {}", unfinished.display()))?;
    }
    let password_file = password_path(home);
    fs::write(&password_file, new_password()?).doing(|| format!("writing {}", password_file.display()))?;
    user.own(&password_file, 0o600)?;
    let output = user
        .command(binaries.folder.join("initdb"))
        .args(["--encoding=UTF8", "--locale=C", "--no-instructions", "--no-sync"])
        .arg(format!("--auth={auth}"))
        .arg(format!("--username={SUPERUSER}"))
        .arg("--pwfile")
        .arg(&password_file)
        .arg("--pgdata")
        .arg(&unfinished)
        .output()
        .doing(|| "running initdb".to_owned())?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        return Err(LocalPgError::Program {
            program: "initdb",
            output: String::from_utf8_lossy(&said).into_owned(),
        });
    }
    fs::rename(&unfinished, data_path(home)).doing(|| format!("naming {}", data_path(home).display()))
}

/// Removes the data of a cluster that does not run.
pub(crate) fn remove_data(home: &Path) -> Result<(), LocalPgError> {
    let data = data_path(home);
    fs::remove_dir_all(&data).doing(|| format!("removing {}", data.display()))
}

/// 128 random bits from the system, in hexadecimal.
fn new_password() -> Result<String, LocalPgError> {
    use std::fmt::Write as _;

    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .doing(|| "reading /dev/urandom".to_owned())?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// What `postmaster.pid` says (PostgreSQL's `src/include/utils/pidfile.h`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PidFile {
    /// The whole text, which differs for each start.
    pub(crate) text: String,
    /// Line 1.
    pub(crate) pid: u32,
    /// Line 4; absent early in a start.
    pub(crate) port: Option<u16>,
    /// Line 8 says `ready`.
    pub(crate) ready: bool,
}

impl PidFile {
    /// Reads the file of this cluster; none when no server runs or ran.
    pub(crate) fn read(home: &Path) -> Option<Self> {
        Self::parse(fs::read_to_string(data_path(home).join("postmaster.pid")).ok()?)
    }

    fn parse(text: String) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let pid = lines.first()?.parse().ok()?;
        let port = lines.get(3).and_then(|line| line.parse().ok());
        let ready = lines.get(7).is_some_and(|line| *line == "ready");
        Some(Self {
            text,
            pid,
            port,
            ready,
        })
    }
}

/// Ends a server that a dead owner left behind, and clears a lock file whose process id now belongs to a stranger.
pub(crate) fn end_leftover(home: &Path) -> Result<(), LocalPgError> {
    let Some(file) = PidFile::read(home) else {
        return Ok(());
    };
    if !is_server_of(file.pid, home) {
        // PostgreSQL itself clears the file of a dead process, but takes a living stranger for a server.
        if command_line(file.pid).is_some() {
            let path = data_path(home).join("postmaster.pid");
            fs::remove_file(&path).doing(|| format!("removing {}", path.display()))?;
        }
        return Ok(());
    }
    let pid = Pid::from_raw(i32::try_from(file.pid).unwrap_or(i32::MAX));
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        // It may have ended in the meantime.
        let _ = kill(pid, signal);
        if wait_until(PATIENCE / 2, || !is_server_of(file.pid, home)) {
            return Ok(());
        }
    }
    Err(LocalPgError::WontStop { pid: file.pid })
}

/// True when this process is a server on this cluster's data.
fn is_server_of(pid: u32, home: &Path) -> bool {
    command_line(pid).is_some_and(|line| line.contains(&*data_path(home).to_string_lossy()))
}

/// The command line of a living process.
fn command_line(pid: u32) -> Option<String> {
    if cfg!(target_os = "linux") {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).replace('\0', " "));
    }
    let output = Command::new("ps")
        .args(["-o", "command=", "-p"])
        .arg(pid.to_string())
        .stdin(Stdio::null())
        .output();
    let line = String::from_utf8_lossy(&output.ok()?.stdout).trim().to_owned();
    (!line.is_empty()).then_some(line)
}

/// Looks again and again until the condition holds; false when the time is over.
pub(crate) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() >= limit {
            return false;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "another process is waited for, which has no other sign"
        )]
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_ready_only_with_its_eighth_line() {
        let starting = "42\n/d\n1700000000\n5555\n\n127.0.0.1\n  1234\nstarting\n";
        let file = PidFile::parse(starting.to_owned()).unwrap();
        assert_eq!((file.pid, file.port, file.ready), (42, Some(5555), false));
        assert!(
            PidFile::parse(starting.replace("starting", "ready   "))
                .unwrap()
                .ready
        );
        assert!(!PidFile::parse("42\n/d\n".to_owned()).unwrap().ready);
        assert_eq!(PidFile::parse(String::new()), None);
    }
}
