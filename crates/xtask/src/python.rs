//! Python's packages that only some tests need, each list of them in a folder of its own beside the tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use domicile_localpg::binaries::program_exists;

use crate::run::{Failure, Outcome, note, shown};
use crate::tree;

/// Installs exactly what the list of requirements names, once per list; the folder has `bin/python`. What is missing on this
/// machine is told with `whose`.
pub(crate) fn install(name: &str, requirements: &str, whose: &str) -> Outcome<PathBuf> {
    let wanted = tree::root().join(requirements);
    let place = tree::private().join(name);
    let installed = place.join("installed-requirements.txt");
    let list = fs::read(&wanted)?;
    if fs::read(&installed).is_ok_and(|present| present == list) {
        return Ok(place);
    }
    if !program_exists("python3") || !has_venv() {
        return Err(Failure(format!(
            "{whose} need Python 3.11 or newer with its modules venv and ensurepip (on Debian: `apt-get install python3-venv`)"
        )));
    }
    note(&format!("installing {name} with pip"));
    shown(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&place),
    )?;
    pip(&place, &wanted)?;
    fs::write(installed, list)?;
    Ok(place)
}

/// Wheels alone, so that no package runs a script of its own here.
fn pip(place: &Path, list: &Path) -> Outcome {
    let mut pip = Command::new(place.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary", ":all:", "--requirement"])
        .arg(list);
    shown(&mut pip)
}

fn has_venv() -> bool {
    let question = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    Command::new("python3")
        .args(["-c", question])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
