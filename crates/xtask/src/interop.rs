//! The scripts under `tests/interop`, which compare with implementations that this project did not write.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use domicile_localpg::binaries::program_exists;

use crate::run::{Failure, Outcome, note, shown};
use crate::tree;

/// Installs what the scripts need and runs them.
pub(crate) fn run() -> Outcome {
    if !program_exists("npm") || !program_exists("node") {
        let text = "the interoperability tests need Node.js 20 or newer with npm; install it, or leave --interop out";
        return Err(Failure(text.to_owned()));
    }
    let sources = tree::root().join("tests/interop");
    let modules = install(&sources)?;
    // `cargo xtask test` has built it beside this program.
    let zoomsim = std::env::current_exe()?.with_file_name("zoomsim");
    shown(
        Command::new("node")
            .args(["--test", "--test-reporter=spec"])
            .arg(sources.join("rivet.mjs"))
            .current_dir(tree::root())
            .env("INTEROP_MODULES", modules)
            .env("INTEROP_ZOOMSIM", zoomsim),
    )
}

/// Installs exactly what the lock file names, beside the tree and not in it; once per lock file.
fn install(sources: &Path) -> Outcome<PathBuf> {
    let folder = tree::private().join("interop");
    fs::create_dir_all(&folder)?;
    let installed = folder.join("installed-lock.json");
    let lock = fs::read(sources.join("package-lock.json"))?;
    if fs::read(&installed).is_ok_and(|present| present == lock) {
        return Ok(folder);
    }
    note("installing the other implementations with npm");
    for name in ["package.json", "package-lock.json"] {
        fs::copy(sources.join(name), folder.join(name))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&folder);
    shown(&mut npm)?;
    fs::write(installed, lock)?;
    Ok(folder)
}
