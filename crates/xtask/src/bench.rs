//! `cargo xtask bench`: what `crates/bench` measures, built as it is shipped.

use std::path::PathBuf;
use std::process::Command;

use clap::Subcommand;

use crate::run::{Failure, Outcome, shown};
use crate::tree;

/// The options of `bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each measurement starts a private PostgreSQL with fsync and synchronous_commit on, migrates it with the real binary and ends \
with it. `cargo xtask bench <measurement> --help` shows all options. Examples:

  cargo xtask bench intake --rounds 3 --seconds 8 --connections 1,16,64,256 --fsync-delay-ms 2 --json report.json
  cargo xtask bench intake --only service --connections 64 --seconds 4
  cargo xtask bench open-loop --rate 2000 --minutes 10 --prefill 10000000
  cargo xtask bench bot --rate 500 --seconds 60
  cargo xtask bench faults --rate 3000 --minutes 5 --seed 1
  cargo xtask bench micro verify

Nothing else should run on the machine meanwhile. No test depends on what is measured.")]
pub(crate) struct Args {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// Service, baseline (one INSERT a request) and ceiling (nothing stored) side by side, in alternating runs
    #[command(disable_help_flag = true)]
    Intake(Options),
    /// The latencies of a fixed rate, minute by minute, over a small or a large inbox
    #[command(disable_help_flag = true)]
    OpenLoop(Options),
    /// A fixed rate while database and service are stopped, killed and frozen; fails where a promise is broken
    #[command(disable_help_flag = true)]
    Faults(Options),
    /// Many commands to the bot while the app stalls; fails where a promise is broken
    #[command(disable_help_flag = true)]
    Bot(Options),
    /// The criterion benchmarks and the timing of signature comparison
    #[command(disable_help_flag = true)]
    Micro(Options),
}

#[derive(Debug, clap::Args)]
struct Options {
    /// Handed on as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Builds with `--release` and measures.
pub(crate) fn run(args: &Args) -> Outcome {
    let (name, options) = match &args.measurement {
        Measurement::Intake(options) => ("intake", options),
        Measurement::OpenLoop(options) => ("open-loop", options),
        Measurement::Faults(options) => ("faults", options),
        Measurement::Bot(options) => ("bot", options),
        Measurement::Micro(options) => {
            let mut cargo = tree::cargo();
            cargo.args(["bench", "--locked", "--package", "domicile-bench", "--"]);
            return shown(cargo.args(&options.options));
        }
    };
    shown(tree::cargo().args([
        "build",
        "--release",
        "--locked",
        "--package",
        "domicile",
        "--package",
        "domicile-bench",
        "--bins",
    ]))?;
    shown(
        Command::new(release("bench-intake")?)
            .arg(name)
            .args(&options.options),
    )
}

/// A program of the release build: beside the folder of this one, wherever cargo's target folder is.
fn release(program: &str) -> Outcome<PathBuf> {
    let this = std::env::current_exe()?;
    let target = this.ancestors().nth(2);
    target
        .map(|target| target.join("release").join(program))
        .ok_or_else(|| Failure("this program lies in no target folder".to_owned()))
}
