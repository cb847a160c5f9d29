//! The commands: one file each, one line here.

use clap::{CommandFactory, Parser, Subcommand};

use crate::run::Outcome;
use crate::{bench, demo, dev, fuzz, generate, image, test, tidy};

/// The developers' commands of Domicile. CI runs exactly these.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure how Zoom's events are taken in: rates, latencies, costs, and what faults do to them
    Bench(bench::Args),
    /// Start two regions, a simulated Zoom and two demo apps, and say what to click first
    Dev(dev::Args),
    /// Play the whole story without a browser, with a proof of each step
    Demo(demo::Args),
    /// Feed the parsers of what Zoom sends with ever new input, until one fails or the time is over
    Fuzz(fuzz::Args),
    /// Write what is derived from other files: the tables of `store` from the migrations
    Gen(generate::Args),
    /// Build the container image from this tree, with its list of parts
    Image(image::Args),
    /// Run every check and every test, with all that they need
    Test(test::Args),
    /// Check the rules of the house that no compiler knows
    Tidy(tidy::Args),
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> Outcome {
    match Cli::parse().command {
        Command::Bench(args) => bench::run(&args),
        Command::Dev(args) => dev::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Gen(args) => generate::run(&args),
        Command::Image(args) => image::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Tidy(args) => tidy::run(&args),
    }
}

/// The names of all commands, for checking the pages that mention them.
pub(crate) fn command_names() -> Vec<String> {
    Cli::command()
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
