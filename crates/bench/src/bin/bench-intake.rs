//! `bench-intake`: the measurements behind `cargo xtask bench`.

#![allow(clippy::print_stderr)] // A developer's tool talks to its terminal.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use domicile_bench::commands::bot::{self, BotArgs};
use domicile_bench::commands::compare::{self, CompareArgs};
use domicile_bench::commands::faults::{self, FaultsArgs};
use domicile_bench::commands::open_loop::{self, OpenLoopArgs};
use domicile_bench::commands::server;

/// Measures the way in which Zoom's events are taken in, against a private PostgreSQL with durable settings.
#[derive(Debug, Parser)]
#[command(name = "bench-intake", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Service, baseline (one INSERT a request) and ceiling (nothing stored) side by side: rates, latencies, costs
    Intake(CompareArgs),
    /// The latencies of one server at a fixed rate, minute by minute
    OpenLoop(OpenLoopArgs),
    /// A fixed rate while database and service are stopped, killed and frozen: is everything kept that was answered?
    Faults(FaultsArgs),
    /// Many commands to the bot while the app stalls: is Zoom answered in time, and who waits for whom?
    Bot(BotArgs),
    /// One of the servers to compare with; it reads its settings from standard input
    #[command(hide = true)]
    Server,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Intake(args) => compare::run(&args),
        Command::OpenLoop(args) => open_loop::run(&args),
        Command::Faults(args) => faults::run(&args),
        Command::Bot(args) => bot::run(&args),
        Command::Server => server::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nbench-intake: {failure}");
            ExitCode::FAILURE
        }
    }
}
