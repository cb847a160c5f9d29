#![doc = include_str!("../README.md")]
#![allow(clippy::print_stdout, clippy::print_stderr)] // A developer's tool talks to its terminal.
#![allow(clippy::case_sensitive_file_extension_comparisons)] // The tree's own names are in lower case.

mod bench;
mod cli;
mod demo;
mod dev;
mod fuzz;
mod generate;
mod helm;
mod image;
mod interop;
mod moto;
#[cfg(target_os = "linux")]
mod netns;
mod python;
mod run;
mod test;
mod tidy;
mod tree;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
