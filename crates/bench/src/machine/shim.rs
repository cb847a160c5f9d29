//! The delay of each fsync, as a library that is loaded into PostgreSQL's processes alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Outcome};

const SOURCE: &str = include_str!("shim.c");

/// Compiles the library into this folder and gives the variables with which it is loaded.
pub(super) fn environment(folder: &Path, delay: Duration) -> Outcome<Vec<(String, String)>> {
    let library = compile(folder)?;
    Ok(vec![
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        (
            "DOMICILE_BENCH_FSYNC_DELAY_US".to_owned(),
            delay.as_micros().to_string(),
        ),
    ])
}

fn compile(folder: &Path) -> Outcome<PathBuf> {
    let (source, library) = (folder.join("fsync-delay.c"), folder.join("fsync-delay.so"));
    fs::write(&source, SOURCE)?;
    let output = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .output()
        .map_err(|error| Failure::new(format!("cc, which compiles the delay of fsync: {error}")))?;
    if output.status.success() {
        Ok(library)
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Failure::new(format!(
            "cc could not compile the delay of fsync: {said}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn every_sync_takes_longer_by_the_delay() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(folder.path(), Duration::from_millis(200)).unwrap();
        let start = Instant::now();
        // dd calls fsync once at its end.
        let output = Command::new("dd")
            .arg("if=/dev/zero")
            .arg(format!("of={}", folder.path().join("file").display()))
            .args(["bs=1", "count=1", "conv=fsync"])
            .envs(environment)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(start.elapsed() >= Duration::from_millis(200));
    }
}
