//! `cargo xtask test`: all checks and all tests, in the order in which a failure is cheapest.

use std::process::Command;
use std::time::{Duration, Instant};

use domicile_localpg::{Cluster, binaries::program_exists};

use crate::run::{Outcome, note, shown};
use crate::{alerts, generate, helm, interop, moto, tidy, tree};

/// Where the tests find their server; `domicile_testkit::db` reads it.
const SERVER_URL_VARIABLE: &str = "DOMICILE_TEST_DATABASE_URL";

/// The options of `test`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Args {
    /// Also compare with implementations that this project did not write; installs them with npm and pip
    #[arg(long)]
    interop: bool,
    /// Only prove that two regions never meet: each in a network namespace of its own, and captures between them; needs root
    #[arg(long, conflicts_with = "interop")]
    netns: bool,
    /// Only render the Helm chart for every region and scenario with a real helm, and check what comes out; installs it with pip
    #[arg(long, conflicts_with_all = ["interop", "netns"])]
    helm: bool,
    /// Only test the alerts: each rule with Prometheus' promtool, firing and silent; fetches Debian's where there is none
    #[arg(long, conflicts_with_all = ["interop", "netns", "helm"])]
    alerts: bool,
    /// With --netns: use the programs that are built already
    #[arg(long, requires = "netns")]
    no_build: bool,
}

/// Runs everything and says how long each step took.
pub(crate) fn run(args: &Args) -> Outcome {
    let mut steps = Steps::default();
    let outcome = if args.netns {
        steps.run("two regions in two network namespaces", || apart(args.no_build))
    } else if args.helm {
        steps.run("the Helm chart", helm::run)
    } else if args.alerts {
        steps.run("alerts", alerts::run)
    } else {
        all(args, &mut steps)
    };
    steps.print();
    outcome
}

fn all(args: &Args, steps: &mut Steps) -> Outcome {
    steps.run("formatting", || {
        shown(tree::cargo().args(["fmt", "--all", "--check"]))
    })?;
    steps.run("house rules", || tidy::run(&tidy::Args::default()))?;
    steps.run("generated files", || {
        generate::run(&generate::Args { check: true })
    })?;
    steps.run("lints", || {
        shown(tree::cargo().args([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--features",
            moto::FEATURES,
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    steps.run("documentation", || {
        shown(
            tree::cargo()
                .args(["doc", "--locked", "--workspace", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    })?;
    // Tests and scripts start the programs from the target folder. Programs and tests are built together and with the same
    // features as all that follows, so that nothing is built twice.
    steps.run("programs and tests", || {
        let mut build = tree::cargo();
        build.args(["build", "--locked", "--workspace", "--bins", "--tests"]);
        shown(build.args(["--features", moto::FEATURES]))
    })?;
    if args.interop {
        steps.run("interoperability", interop::run)?;
    }
    let cluster = steps.start("database server", || Ok(Cluster::scratch(tree::tools(), note)?))?;
    let url = cluster.url("postgres");
    steps.run("examples in the documentation", || {
        shown(
            tree::cargo()
                .args(["test", "--locked", "--workspace", "--doc", "--quiet"])
                .args(["--features", moto::FEATURES])
                .env(SERVER_URL_VARIABLE, &url),
        )
    })?;
    if args.interop {
        steps.run("AWS's services, as moto plays them", || {
            let mut tests = runner();
            tests.args(["--features", moto::FEATURES, "--test", "moto"]);
            moto::run(tests.env(SERVER_URL_VARIABLE, &url))
        })?;
    }
    // Last, so that its summary ends the output.
    steps.run("tests", || {
        let mut tests = runner();
        if program_exists("cargo-nextest") {
            tests.args(["--features", moto::FEATURES, "-E", "not binary(moto)"]);
        } else {
            // Nothing else leaves them out.
            tests.arg("--all-targets");
        }
        shown(tests.env(SERVER_URL_VARIABLE, &url))
    })?;
    cluster.stop()?;
    Ok(())
}

/// The proof of `--netns`, on what this tree builds.
#[cfg(target_os = "linux")]
fn apart(no_build: bool) -> Outcome {
    crate::netns::run(no_build)
}

#[cfg(not(target_os = "linux"))]
fn apart(_: bool) -> Outcome {
    note("two regions in two network namespaces: skipped, since only Linux has them");
    Ok(())
}

/// What runs the tests of the workspace.
fn runner() -> Command {
    let mut command = tree::cargo();
    if program_exists("cargo-nextest") {
        command.args(["nextest", "run"]);
    } else {
        command.arg("test");
    }
    command.args(["--locked", "--workspace"]);
    command
}

/// What was done and how long it took.
#[derive(Default)]
struct Steps {
    done: Vec<(&'static str, Duration, bool)>,
}

impl Steps {
    fn run(&mut self, name: &'static str, work: impl FnOnce() -> Outcome) -> Outcome {
        self.start(name, work)
    }

    /// Like [`Steps::run`], for work whose result is needed later.
    fn start<T>(&mut self, name: &'static str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        println!("\n=== {name}");
        let start = Instant::now();
        let outcome = work();
        self.done.push((name, start.elapsed(), outcome.is_ok()));
        outcome
    }

    fn print(&self) {
        println!("\n=== durations");
        for (name, duration, succeeded) in &self.done {
            let mark = if *succeeded { "" } else { "   FAILED" };
            println!("{:>7.1} s  {name}{mark}", duration.as_secs_f64());
        }
    }
}
