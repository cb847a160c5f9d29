//! The commands: one file each, one line here.

use clap::{Parser, Subcommand};

use crate::generate;
use crate::run::Outcome;

/// The developers' commands of Domicile. CI runs exactly these.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write what is derived from other files: the tables of `store` from the migrations
    Gen(generate::Args),
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> Outcome {
    match Cli::parse().command {
        Command::Gen(args) => generate::run(&args),
    }
}
