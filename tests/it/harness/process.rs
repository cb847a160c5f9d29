//! The real binary, in a process of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::eventually;

/// The binary beside this test's own, where cargo puts both.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join("domicile");
    assert!(
        path.exists(),
        "{} is missing: run `cargo build -p domicile` first",
        path.display()
    );
    path
}

fn command(environment: &BTreeMap<String, String>, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).env_clear().envs(environment);
    command
}

/// Runs a command to its end.
pub fn run(environment: &BTreeMap<String, String>, arguments: &[&str]) -> Output {
    command(environment, arguments).output().unwrap()
}

/// A running region; it is killed if the test fails.
pub struct Process(Child);

impl Process {
    pub fn start(environment: &BTreeMap<String, String>, role: &str) -> Self {
        Self::start_command(environment, &[role])
    }

    /// The same by the previous release's binary, which `DOMICILE_TEST_PREVIOUS_BINARY` names; without it, by this build's.
    pub fn start_previous(environment: &BTreeMap<String, String>, role: &str) -> Self {
        let previous = std::env::var_os("DOMICILE_TEST_PREVIOUS_BINARY");
        let mut command = Command::new(previous.map_or_else(binary, PathBuf::from));
        command.arg(role).env_clear().envs(environment);
        Self(
            command
                .stdout(Stdio::null())
                .stderr(Stdio::inherit())
                .spawn()
                .unwrap(),
        )
    }

    /// The same for a command of several words.
    pub fn start_command(environment: &BTreeMap<String, String>, arguments: &[&str]) -> Self {
        let log = if std::env::var_os("DOMICILE_TEST_LOGS").is_some() {
            Stdio::inherit()
        } else {
            Stdio::null()
        };
        Self(
            command(environment, arguments)
                .stdout(log)
                .stderr(Stdio::inherit())
                .spawn()
                .unwrap(),
        )
    }

    /// The same, with all that it says in this file.
    pub fn start_logged(environment: &BTreeMap<String, String>, role: &str, log: &Path) -> Self {
        let log = File::create(log).unwrap();
        Self(
            command(environment, &[role])
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap(),
        )
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), signal).unwrap();
    }

    /// How it ended; it is waited for.
    pub async fn ended(&mut self) -> ExitStatus {
        eventually("the end of the process", async || self.0.try_wait().unwrap()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
