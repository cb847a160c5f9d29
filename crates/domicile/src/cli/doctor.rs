//! `domicile doctor`: what is wrong with the region, and what to do.

use std::io::{Write, stdout};
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::output::{Format, json};
use crate::doctor::examine;
use crate::outside;
use crate::settings::Environment;

#[derive(Args, Clone, Copy)]
pub(super) struct DoctorArgs {
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Ends with 0 where nothing is at fault, else with 1.
pub(super) async fn run(environment: Environment, arguments: DoctorArgs) -> Result<ExitCode, Failure> {
    let report = examine(&environment, outside::ids()).await;
    let text = match arguments.format {
        Format::Table => report.to_string(),
        Format::Json => json(&report)?,
    };
    stdout().write_all(text.as_bytes())?;
    Ok(if report.has_faults() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
