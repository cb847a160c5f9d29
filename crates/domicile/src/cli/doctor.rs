//! `domicile doctor`: what is wrong with the region, and what to do.

use std::io::{Write, stdout};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::Failure;
use crate::doctor::examine;
use crate::outside;
use crate::settings::Environment;

#[derive(Args, Clone, Copy)]
pub(super) struct DoctorArgs {
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Ends with 0 where nothing is at fault, else with 1.
pub(super) async fn run(environment: Environment, arguments: DoctorArgs) -> Result<ExitCode, Failure> {
    let report = examine(&environment, outside::ids()).await;
    let text = match arguments.format {
        Format::Text => report.to_string(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&report)?),
    };
    stdout().write_all(text.as_bytes())?;
    Ok(if report.has_faults() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
