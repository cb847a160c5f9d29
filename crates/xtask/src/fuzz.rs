//! `cargo xtask fuzz`: the parsers of what Zoom sends, under libFuzzer.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::run::{Failure, Outcome, note, shown};
use crate::tree;

/// One file each in `crates/zoom/fuzz/fuzz_targets`.
const TARGETS: [&str; 3] = ["headers", "envelope", "events"];

/// Bodies may be larger; what is odd about them fits into this.
const MAX_INPUT_BYTES: u32 = 4096;

/// The options of `fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only this one: headers, envelope or events
    #[arg(value_parser = TARGETS)]
    target: Option<String>,
}

/// Runs the targets one after another, and fails with the first input that breaks one.
pub(crate) fn run(args: &Args) -> Outcome {
    install()?;
    for target in TARGETS {
        if args.target.as_deref().is_none_or(|chosen| chosen == target) {
            note(&format!("{target} for {} seconds", args.seconds));
            shown(&mut fuzz(target, args.seconds)?)?;
        }
    }
    Ok(())
}

fn fuzz(target: &str, seconds: u32) -> Outcome<Command> {
    let folder = tree::root().join("crates/zoom/fuzz");
    let (learnt, found) = (private("corpus", target)?, private("artifacts", target)?);
    let mut command = tree::cargo();
    command
        .args(["fuzz", "run", target, "--fuzz-dir"])
        .arg(&folder)
        // New inputs go into the first folder; the one in the tree is only read.
        .arg(learnt)
        .arg(folder.join("corpus").join(target))
        // Bodies of the fixtures are good beginnings, too.
        .arg(tree::root().join("crates/zoom/tests/events"))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MAX_INPUT_BYTES}"))
        .arg(format!("-dict={}", folder.join("zoom.dict").display()))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .args(["-timeout=10", "-print_final_stats=1"])
        // The one toolchain of the tree is a stable one; its instrumentation is not stable yet.
        .env("RUSTC_BOOTSTRAP", "1");
    Ok(command)
}

fn private(kind: &str, target: &str) -> Outcome<PathBuf> {
    let folder = tree::private().join("fuzz").join(kind).join(target);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn install() -> Outcome {
    let present = tree::cargo()
        .args(["fuzz", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if present {
        return Ok(());
    }
    note("installing cargo-fuzz");
    shown(tree::cargo().args(["install", "cargo-fuzz", "--locked"]))
        .map_err(|failure| Failure(format!("cargo-fuzz is needed and cannot be installed: {failure}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_target_has_its_file_and_its_corpus() {
        let folder = tree::root().join("crates/zoom/fuzz");
        let names = |folder: PathBuf| -> BTreeSet<String> {
            fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        };
        let files: BTreeSet<_> = TARGETS.iter().map(|target| format!("{target}.rs")).collect();
        assert_eq!(names(folder.join("fuzz_targets")), files);
        let corpora: BTreeSet<_> = TARGETS.iter().map(|target| (*target).to_owned()).collect();
        assert_eq!(names(folder.join("corpus")), corpora);
    }
}
