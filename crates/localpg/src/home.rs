//! The folder of a cluster, and the user who may run it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User};

use crate::binaries::Binaries;
use crate::error::{Doing, LocalPgError};

/// Where root's clusters go when the server's user cannot reach the wanted folder, such as one under `/root`.
const REACHABLE: &str = "/var/tmp/domicile-localpg";

/// A scratch cluster takes a few hundred megabytes, and what runs beside it needs its own.
#[cfg(target_os = "linux")]
const MEMORY_BYTES: u64 = 6 << 30;

/// Who runs the server: ourselves, or an ordinary user when we are root, which PostgreSQL refuses.
#[derive(Debug, Clone)]
pub(crate) struct ServerUser {
    /// The other user's ids; none when we run the server ourselves.
    ids: Option<(u32, u32)>,
}

impl ServerUser {
    /// Chooses the user.
    pub(crate) fn choose() -> Result<Self, LocalPgError> {
        if !Uid::effective().is_root() {
            return Ok(Self { ids: None });
        }
        let user = ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten());
        let user = user.ok_or(LocalPgError::NoUser)?;
        Ok(Self {
            ids: Some((user.uid.as_raw(), user.gid.as_raw())),
        })
    }

    /// A command that runs as this user, with nothing of our environment that could steer the server.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null());
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some((uid, gid)) = self.ids {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// True when the user may enter this folder. The kernel is asked, since modes alone do not tell.
    fn reaches(&self, folder: &Path) -> bool {
        self.ids.is_none()
            || self
                .command("/bin/sh")
                .args(["-c", "cd \"$1\"", "sh"])
                .arg(folder)
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
    }

    /// Gives a folder or file to the user and closes it for everybody else.
    pub(crate) fn own(&self, path: &Path, mode: u32) -> Result<(), LocalPgError> {
        if let Some((uid, gid)) = self.ids {
            chown(path, Some(uid), Some(gid)).doing(|| format!("giving {} to the server", path.display()))?;
        }
        fs::set_permissions(path, Permissions::from_mode(mode))
            .doing(|| format!("closing {}", path.display()))
    }
}

/// Makes a cluster's folder, at the wanted place or, where the server's user cannot reach that, under `/var/tmp`.
///
/// The answer depends on the wanted path alone, so that a restart finds its data.
pub(crate) fn make(wanted: &Path, user: &ServerUser) -> Result<PathBuf, LocalPgError> {
    let wanted = std::path::absolute(wanted).doing(|| format!("finding {}", wanted.display()))?;
    let existing = wanted
        .ancestors()
        .skip(1)
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("/"));
    let folder = if user.reaches(existing) {
        fs::create_dir_all(&wanted).doing(|| format!("making {}", wanted.display()))?;
        wanted
    } else {
        reachable_folder(&flat_name(&wanted))?
    };
    let owner = fs::metadata(&folder)
        .doing(|| format!("reading {}", folder.display()))?
        .uid();
    let expected = user.ids.map_or_else(|| Uid::effective().as_raw(), |(uid, _)| uid);
    if owner != expected && owner != Uid::effective().as_raw() {
        return Err(LocalPgError::NotOurs { folder });
    }
    user.own(&folder, 0o700)?;
    Ok(folder)
}

/// A new folder for a cluster that ends with its owner: in memory where there is enough, else in a temporary folder.
pub(crate) fn make_scratch(user: &ServerUser) -> Result<PathBuf, LocalPgError> {
    let temporary = std::env::temp_dir();
    let parent = [memory(), Some(temporary)]
        .into_iter()
        .flatten()
        .find(|folder| user.reaches(folder))
        .unwrap_or_else(|| PathBuf::from("/var/tmp"));
    let folder = tempfile::Builder::new()
        .prefix("domicile-pg-")
        .tempdir_in(&parent)
        .doing(|| format!("making a folder in {}", parent.display()))?
        .keep();
    user.own(&folder, 0o700)?;
    Ok(folder)
}

/// A folder in memory, if there is more than enough of it.
///
/// Test databases come and go by the thousand, each in three hundred files, and ext4 looks at all that was deleted in the last
/// minutes before it makes the next file: a sixth of the tests' processor time.
#[cfg(target_os = "linux")]
fn memory() -> Option<PathBuf> {
    let folder = Path::new("/dev/shm");
    let room = nix::sys::statvfs::statvfs(folder).ok()?;
    let room_bytes = room.blocks_available().saturating_mul(room.fragment_size());
    let free_bytes = available_memory_bytes(&fs::read_to_string("/proc/meminfo").ok()?)?;
    (room_bytes.min(free_bytes) >= MEMORY_BYTES).then(|| folder.to_owned())
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<PathBuf> {
    None
}

/// What new programs can have without swapping, as the kernel estimates it.
#[cfg(target_os = "linux")]
fn available_memory_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

/// Binaries that the server's user can run: the found ones, or a copy where those lie out of reach.
pub(crate) fn reachable_binaries(found: Binaries, user: &ServerUser) -> Result<Binaries, LocalPgError> {
    let Some(tree) = found.portable.clone().filter(|_| !user.reaches(&found.folder)) else {
        return Ok(found);
    };
    let copy = reachable_folder(&flat_name(&tree))?;
    let ready = copy.join("ready");
    if !ready.is_file() {
        // `cp -R` keeps symbolic links and modes; std has no such call.
        let status = Command::new("cp")
            .arg("-R")
            .arg(tree.join("."))
            .arg(&copy)
            .stdin(Stdio::null())
            .status();
        let status = status.doing(|| format!("copying {}", tree.display()))?;
        if !status.success() {
            return Err(LocalPgError::Program {
                program: "cp",
                output: status.to_string(),
            });
        }
        fs::write(&ready, "").doing(|| format!("writing {}", ready.display()))?;
    }
    Ok(Binaries {
        folder: copy.join("bin"),
        portable: Some(copy),
        ..found
    })
}

/// A folder under [`REACHABLE`], safe against one that another user has prepared: only root can write there.
fn reachable_folder(name: &str) -> Result<PathBuf, LocalPgError> {
    let root = PathBuf::from(REACHABLE);
    fs::create_dir_all(&root).doing(|| format!("making {REACHABLE}"))?;
    let metadata = fs::symlink_metadata(&root).doing(|| format!("reading {REACHABLE}"))?;
    if !metadata.is_dir() || metadata.uid() != Uid::effective().as_raw() {
        return Err(LocalPgError::NotOurs { folder: root });
    }
    fs::set_permissions(&root, Permissions::from_mode(0o755)).doing(|| format!("opening {REACHABLE}"))?;
    let folder = root.join(name);
    fs::create_dir_all(&folder).doing(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// One file name for a whole path: readable, and different for different paths.
fn flat_name(path: &Path) -> String {
    let text = path.to_string_lossy();
    // FNV-1a keeps `a/b` and `a-b` apart; nothing secret depends on it.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let flat: Vec<char> = text
        .chars()
        .map(|it| if it.is_ascii_alphanumeric() { it } else { '-' })
        .collect();
    let tail: String = flat[flat.len().saturating_sub(60)..].iter().collect();
    format!("{}-{hash:016x}", tail.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn available_memory_is_read_as_the_kernel_writes_it() {
        let text = "MemTotal:       24683656 kB\nMemFree:  1 kB\nMemAvailable:   12345678 kB\n";
        assert_eq!(available_memory_bytes(text), Some(12_345_678 * 1024));
        for other in ["", "MemAvailable: many kB", "MemAvailable: 5"] {
            assert_eq!(available_memory_bytes(other), None, "{other}");
        }
    }

    #[test]
    fn different_paths_have_different_names_of_bounded_length() {
        assert_ne!(flat_name(Path::new("/a/b")), flat_name(Path::new("/a-b")));
        assert!(flat_name(Path::new(&"/long".repeat(100))).len() < 100);
    }

    #[test]
    fn a_folder_that_others_may_not_enter_is_replaced_by_one_they_can() {
        let user = ServerUser::choose().unwrap();
        if user.ids.is_none() {
            return;
        }
        let closed = tempfile::tempdir().unwrap();
        fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
        let home = make(&closed.path().join("deep/pg"), &user).unwrap();
        assert!(home.starts_with(REACHABLE) && user.reaches(&home));
        fs::remove_dir_all(home).unwrap();
    }

    #[test]
    fn binaries_out_of_reach_are_copied_with_their_links() {
        let user = ServerUser::choose().unwrap();
        if user.ids.is_none() {
            return;
        }
        let closed = tempfile::tempdir().unwrap();
        fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
        let tree = closed.path().join("native");
        for folder in ["bin", "lib"] {
            fs::create_dir_all(tree.join(folder)).unwrap();
        }
        fs::write(tree.join("lib/libpq.so.5.17"), "library").unwrap();
        std::os::unix::fs::symlink("libpq.so.5.17", tree.join("lib/libpq.so.5")).unwrap();
        let found = Binaries {
            major: 17,
            folder: tree.join("bin"),
            portable: Some(tree),
        };
        let copy = reachable_binaries(found.clone(), &user).unwrap();
        assert!(user.reaches(&copy.folder));
        let library = copy.folder.join("../lib/libpq.so.5");
        assert!(fs::symlink_metadata(&library).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(library).unwrap(), "library");
        assert_eq!(reachable_binaries(found, &user).unwrap(), copy);
        fs::remove_dir_all(copy.portable.unwrap()).unwrap();
    }
}
