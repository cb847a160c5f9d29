//! `cargo xtask image`: the container image, from this tree and this machine's toolchain, without pulling anything.

mod parts;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use domicile_localpg::binaries::program_exists;

use crate::run::{Failure, Outcome, note, shown};
use crate::tree;

/// The program links everything, glibc too: the image needs no library.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where Debian, and images made of it, keep the authorities.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Nobody's: the chart runs pods as this user.
const USER: &str = "65532";

/// The options of `image`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the root file system and the archive of the image go
    #[arg(long, default_value = "target/image")]
    out: PathBuf,
    /// Only the root file system, for a builder of images that takes it from there
    #[arg(long)]
    root_only: bool,
    /// Take this program instead of building it; it must need no library
    #[arg(long)]
    program: Option<PathBuf>,
    /// The name and tag of the image
    #[arg(long, default_value = concat!("domicile:", env!("CARGO_PKG_VERSION")))]
    tag: String,
}

/// Builds the program, its list of parts, the root file system and the image, and says how large they are.
pub(crate) fn run(args: &Args) -> Outcome {
    let out = tree::root().join(&args.out);
    let epoch = git(&["log", "-1", "--format=%ct"]).unwrap_or_else(|| "0".to_owned());
    let program = match &args.program {
        Some(program) => program.clone(),
        None => build(&epoch)?,
    };
    let rootfs = out.join("rootfs");
    furnish(&rootfs, &program)?;
    println!("{:>9} KiB  the program", kib(&program)?);
    println!("{}", rootfs.display());
    if args.root_only {
        return Ok(());
    }
    if !program_exists("buildah") {
        return Err(Failure(
            "buildah is needed (on Debian: `apt-get install buildah`), or take --root-only".to_owned(),
        ));
    }
    let archive = out.join("domicile.oci.tar");
    buildah(&[
        "build".into(),
        "--isolation=chroot".into(),
        "--format=oci".into(),
        format!("--timestamp={epoch}").into(),
        format!("--build-arg=VERSION={}", env!("CARGO_PKG_VERSION")).into(),
        format!(
            "--build-arg=REVISION={}",
            git(&["rev-parse", "HEAD"]).unwrap_or_default()
        )
        .into(),
        format!("--build-context=rootfs={}", rootfs.display()).into(),
        format!("--tag={}", args.tag).into(),
        format!(
            "--file={}",
            tree::root().join("helm/image/Containerfile").display()
        )
        .into(),
        rootfs.into(),
    ])?;
    if archive.exists() {
        fs::remove_file(&archive)?;
    }
    buildah(&[
        "push".into(),
        (&args.tag).into(),
        format!("oci-archive:{}:{}", archive.display(), args.tag).into(),
    ])?;
    println!("{:>9} KiB  {}", kib(&archive)?, archive.display());
    Ok(())
}

fn buildah(args: &[OsString]) -> Outcome {
    // This driver needs nothing of the kernel; the image is small.
    shown(Command::new("buildah").arg("--storage-driver=vfs").args(args))
}

fn kib(file: &Path) -> Outcome<u64> {
    Ok(fs::metadata(file)?.len().div_ceil(1024))
}

/// What git says; nothing outside of a repository, as in a copy of the sources.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(args)
        .current_dir(tree::root())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// Builds the program so that neither folders of this machine nor the time of day are in it.
fn build(epoch: &str) -> Outcome<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| tree::root().join("target"), PathBuf::from);
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
        .ok_or_else(|| Failure("neither CARGO_HOME nor HOME is set".to_owned()))?;
    let folders = [
        (tree::root().to_owned(), "/src"),
        (cargo_home, "/cargo"),
        (target.clone(), "/target"),
    ];
    let mapped = |flag: &str| {
        let flags = folders
            .iter()
            .map(|(from, to)| format!("{flag}={}={to}", from.display()));
        flags.collect::<Vec<_>>().join(" ")
    };
    shown(
        tree::cargo()
            .args(["build", "--release", "--locked", "--target", TARGET])
            .args(["--package", "domicile", "--bin", "domicile"])
            .env(
                "RUSTFLAGS",
                format!("-C target-feature=+crt-static {}", mapped("--remap-path-prefix")),
            )
            .env("CFLAGS", mapped("-ffile-prefix-map"))
            .env("SOURCE_DATE_EPOCH", epoch),
    )?;
    Ok(target.join(TARGET).join("release/domicile"))
}

/// Lays out what the image consists of.
fn furnish(rootfs: &Path, program: &Path) -> Outcome {
    if rootfs.exists() {
        fs::remove_dir_all(rootfs)?;
    }
    let file = |place: &str, content: &[u8], mode: u32| -> Outcome {
        let path = rootfs.join(place);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, content)?;
        Ok(fs::set_permissions(&path, fs::Permissions::from_mode(mode))?)
    };
    file("usr/bin/domicile", &fs::read(program)?, 0o755)?;
    let authorities = fs::read(AUTHORITIES)
        .map_err(|error| Failure(format!("{AUTHORITIES}: {error}; install ca-certificates")))?;
    file("etc/ssl/certs/ca-certificates.crt", &authorities, 0o644)?;
    file(
        "etc/passwd",
        format!("nonroot:x:{USER}:{USER}:nonroot:/:/sbin/nologin\n").as_bytes(),
        0o644,
    )?;
    file("etc/group", format!("nonroot:x:{USER}:\n").as_bytes(), 0o644)?;
    // Names are asked of the files and of DNS; glibc has both built in.
    file("etc/nsswitch.conf", b"hosts: files dns\n", 0o644)?;
    file(
        "usr/share/doc/domicile/LICENSE",
        &fs::read(tree::root().join("LICENSE"))?,
        0o644,
    )?;
    let parts = parts::list(TARGET)?;
    file("usr/share/doc/domicile/sbom.cdx.json", parts.as_bytes(), 0o644)?;
    note("the list of parts is usr/share/doc/domicile/sbom.cdx.json");
    // The region's file is mounted here.
    fs::create_dir_all(rootfs.join("etc/domicile"))?;
    Ok(())
}
