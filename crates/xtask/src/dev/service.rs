//! Programs that run beside this one and end with it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{MissedTickBehavior, interval, timeout};
use url::Url;

use super::http::Http;
use crate::run::{Failure, Outcome};

/// How long a program may take from SIGTERM to its end; a region drains for 20 seconds at most.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// How long a program may take to answer for the first time.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How much of a log is shown when something failed.
const TAIL_BYTES: u64 = 4000;

/// Ends a program when its starter dies without a word, such as by SIGKILL: the kernel then closes the pipe. While the
/// starter lives it ends this watcher before the pipe.
const WATCHER: &str = "read -r _; kill -TERM \"$1\"";

/// A program to start.
pub(crate) struct Plan {
    /// Its name for people and for its log.
    pub(crate) name: String,
    /// The executable.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Its whole environment, but for `PATH`.
    pub(crate) env: Vec<(&'static str, String)>,
    /// Where its log goes.
    pub(crate) logs: PathBuf,
}

/// A running program.
pub(crate) struct Service {
    pub(crate) name: String,
    child: Child,
    watcher: Child,
    log: PathBuf,
}

impl Plan {
    /// Starts it. It gets no signal from the terminal: Ctrl-C reaches this program alone, which stops the others in order.
    pub(crate) fn start(self) -> Outcome<Service> {
        let log = self.log();
        let child = self.command(&log)?.spawn().map_err(|error| self.cannot(&error))?;
        let pid = child.id().unwrap_or_default().to_string();
        let mut watcher = std::process::Command::new("/bin/sh");
        watcher
            .args(["-c", WATCHER, "domicile-watcher", &pid])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let watcher = Command::from(watcher).kill_on_drop(true).spawn()?;
        Ok(Service {
            name: self.name,
            child,
            watcher,
            log,
        })
    }

    /// Runs it to its end.
    pub(crate) async fn finish(self) -> Outcome {
        let log = self.log();
        let mut child = self.command(&log)?.spawn().map_err(|error| self.cannot(&error))?;
        let status = child.wait().await?;
        if status.success() {
            return Ok(());
        }
        Err(Failure(format!("{} failed: {status}\n{}", self.name, tail(&log))))
    }

    fn command(&self, log: &Path) -> Outcome<Command> {
        let output = File::create(log)?;
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        Ok(command)
    }

    fn log(&self) -> PathBuf {
        self.logs.join(format!("{}.log", self.name.replace(' ', "-")))
    }

    fn cannot(&self, error: &std::io::Error) -> Failure {
        Failure(format!(
            "{} cannot be started: {}: {error}",
            self.name,
            self.program.display()
        ))
    }
}

impl Service {
    /// Waits until the URL answers with success; a program that ends or takes too long is a failure with its log's tail.
    pub(crate) async fn ready(&mut self, http: &Http, url: &Url) -> Outcome {
        let start = Instant::now();
        let mut ticks = interval(Duration::from_millis(50));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(status) = self.child.try_wait()? {
                let (name, tail) = (&self.name, self.tail());
                return Err(Failure(format!("{name} ended at its start: {status}\n{tail}")));
            }
            if http.is_up(url).await {
                return Ok(());
            }
            if start.elapsed() > START_PATIENCE {
                let (name, seconds, tail) = (&self.name, START_PATIENCE.as_secs(), self.tail());
                return Err(Failure(format!(
                    "{name} does not answer at {url} after {seconds} s\n{tail}"
                )));
            }
        }
    }

    /// Its process id, while it runs.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Outcome<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks it to stop and waits; ends it by force if it does not. True if it stopped by itself.
    pub(crate) async fn stop(mut self) -> Outcome<bool> {
        let mut stopped = true;
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended just now.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            stopped = timeout(STOP_PATIENCE, self.child.wait()).await.is_ok();
            if !stopped {
                self.child.kill().await?;
            }
        }
        self.watcher.kill().await?;
        Ok(stopped)
    }

    /// The end of its log.
    pub(crate) fn tail(&self) -> String {
        tail(&self.log)
    }
}

fn tail(log: &Path) -> String {
    let read = || {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_else(|error| error.to_string());
    format!("--- the end of {}\n{}", log.display(), text.trim_end())
}

/// Makes a folder, with those above it, and gives it back.
pub(crate) fn folder(path: PathBuf) -> Outcome<PathBuf> {
    fs::create_dir_all(&path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str, script: &str, logs: &Path) -> Plan {
        Plan {
            name: name.to_owned(),
            program: "/bin/sh".into(),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: vec![("GREETING", "hello".to_owned())],
            logs: logs.to_owned(),
        }
    }

    #[tokio::test]
    async fn a_service_stops_when_it_is_asked_to() {
        let logs = tempfile::tempdir().unwrap();
        let script = "trap 'echo stopping; exit 0' TERM; echo $GREETING; while :; do sleep 0.01; done";
        let mut service = shell("polite", script, logs.path()).start().unwrap();
        let mut ticks = interval(Duration::from_millis(5));
        while !service.tail().contains("hello") {
            ticks.tick().await;
        }
        assert!(service.ended().unwrap().is_none());
        let log = service.log.clone();
        assert!(service.stop().await.unwrap());
        assert_eq!(fs::read_to_string(log).unwrap(), "hello\nstopping\n");
    }

    #[tokio::test]
    async fn a_program_that_fails_says_why() {
        let logs = tempfile::tempdir().unwrap();
        let failure = shell("the job", "echo no room; exit 3", logs.path())
            .finish()
            .await
            .unwrap_err();
        assert!(failure.0.contains("the job failed: exit status: 3"), "{failure}");
        assert!(failure.0.contains("no room"), "{failure}");
        let http = Http::new();
        let nowhere = Url::parse("http://127.0.0.1:9/").unwrap();
        let mut service = shell("gone", "echo bye", logs.path()).start().unwrap();
        let failure = service.ready(&http, &nowhere).await.unwrap_err();
        assert!(
            failure.0.contains("gone ended at its start") && failure.0.contains("bye"),
            "{failure}"
        );
    }

    #[tokio::test]
    async fn the_watcher_ends_a_program_whose_starter_is_gone() {
        let logs = tempfile::tempdir().unwrap();
        let mut service = shell("orphan", "exec sleep 600", logs.path()).start().unwrap();
        drop(service.watcher.stdin.take());
        let status = timeout(Duration::from_secs(30), service.child.wait())
            .await
            .unwrap()
            .unwrap();
        assert!(!status.success());
    }
}
