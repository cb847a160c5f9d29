//! `loadgen`: signed events of Zoom's against any server, in a closed loop or at a fixed rate.

#![allow(clippy::print_stderr)] // A developer's tool talks to its terminal.

use std::process::ExitCode;

use clap::Parser;
use domicile_bench::commands::loadgen::{self, LoadgenArgs};

/// Posts distinct, signed recording events, checks every answer and shows latencies.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version)]
struct Cli {
    #[command(flatten)]
    args: LoadgenArgs,
}

fn main() -> ExitCode {
    match loadgen::run(&Cli::parse().args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("loadgen: {failure}");
            ExitCode::FAILURE
        }
    }
}
