//! Where things lie in the source tree.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The top of the source tree.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // This crate lies two folders below it.
    here.ancestors().nth(2).unwrap_or(here)
}

/// What `.gitignore` keeps out of the repository: data and tools of this machine.
pub(crate) fn private() -> PathBuf {
    root().join(".domicile")
}

/// Where fetched tools are kept, PostgreSQL's binaries among them.
pub(crate) fn tools() -> PathBuf {
    private().join("tools")
}

/// The folders of the migrations, in the order in which they are applied.
pub(crate) fn migrations() -> std::io::Result<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root().join("migrations"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    Ok(folders)
}

/// Cargo, at the top of the tree.
pub(crate) fn cargo() -> Command {
    // `cargo run` names itself, so that a chosen toolchain stays chosen.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}
