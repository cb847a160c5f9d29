//! `domicile region`: the files of regions. These commands read files alone: no environment, no network.

use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use domicile_region::environment::Systemd;
use domicile_region::report::Format;
use domicile_region::{RegionFile, Report, Rule, Source, Strength, check_alone, order, schema, show};

use super::Failure;

#[derive(Subcommand, Clone)]
pub(super) enum RegionCommand {
    /// Say everything that keeps regions from being apart, and fail if there is anything
    Check {
        /// The folder of all regions' files, or the files
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// How to say it
        #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
        format: ReportFormat,
    },
    /// Write the environment file of a region's plain host (systemd)
    Env {
        /// The region's file
        file: PathBuf,
        /// The unit that runs the process
        #[arg(long, default_value = "domicile.service")]
        unit: String,
        /// Write the unit's drop-in instead, which loads the secrets as credentials
        #[arg(long)]
        drop_in: bool,
        /// The folder with a folder for each secret and a file for each of its keys
        #[arg(long, default_value = "/etc/domicile/secrets")]
        secrets: String,
        /// Where the drop-in finds the environment file
        #[arg(long, default_value = "/etc/domicile/domicile.env")]
        environment_file: String,
    },
    /// Say in which order a release reaches the regions, what to type, and how long to wait in between
    ReleaseOrder {
        /// The folder of all regions' files, or the files
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Say it as JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Show a region on one page
    Show {
        /// The region's file
        file: PathBuf,
    },
    /// Show what differs between two regions
    Diff {
        /// The one file
        one: PathBuf,
        /// The other
        other: PathBuf,
    },
    /// List the rules that `check` knows, and which of them a file may except
    Rules,
    /// Write the JSON Schema of a region's file
    Schema,
}

#[derive(ValueEnum, Clone, Copy)]
pub(super) enum ReportFormat {
    /// For people
    Human,
    /// For programs
    Json,
    /// SARIF 2.1.0, for code-scanning tools
    Sarif,
    /// For a page
    Markdown,
}

impl From<ReportFormat> for Format {
    fn from(format: ReportFormat) -> Self {
        match format {
            ReportFormat::Human => Self::Human,
            ReportFormat::Json => Self::Json,
            ReportFormat::Sarif => Self::Sarif,
            ReportFormat::Markdown => Self::Markdown,
        }
    }
}

pub(super) fn run(command: RegionCommand) -> Result<(), Failure> {
    match command {
        RegionCommand::Check { paths, format } => check(&paths, format),
        RegionCommand::Env {
            file,
            unit,
            drop_in,
            secrets,
            environment_file,
        } => {
            let file = read(&file)?;
            let systemd = Systemd { unit, secrets };
            say(&if drop_in {
                systemd.drop_in(&file, &environment_file)
            } else {
                systemd.environment_file(&file)
            })
        }
        RegionCommand::ReleaseOrder { paths, json } => release_order(&paths, json),
        RegionCommand::Show { file } => say(&show::page(&read(&file)?)),
        RegionCommand::Diff { one, other } => say(&show::diff(&read(&one)?, &read(&other)?)),
        RegionCommand::Rules => rules(),
        RegionCommand::Schema => say(&schema()),
    }
}

fn say(text: &str) -> Result<(), Failure> {
    Ok(stdout().write_all(text.as_bytes())?)
}

fn check(paths: &[PathBuf], format: ReportFormat) -> Result<(), Failure> {
    let report = Report::of(&sources(paths)?);
    say(&report.render(format.into()))?;
    match report.findings.len() {
        0 => Ok(()),
        1 => Err("the regions are not apart: 1 finding".into()),
        findings => Err(format!("the regions are not apart: {findings} findings").into()),
    }
}

/// Regions that are not apart get no release.
fn release_order(paths: &[PathBuf], json: bool) -> Result<(), Failure> {
    let sources = sources(paths)?;
    let findings = Report::of(&sources).findings.len();
    if findings > 0 {
        return Err(format!(
            "{findings} findings stand against a release; `domicile region check` says them"
        )
        .into());
    }
    let files = sources.iter().filter_map(|source| {
        let document = check_alone(source).ok()?;
        Some((source.name.clone(), document.file))
    });
    let steps = order::release_order(&files.collect::<Vec<_>>());
    if json {
        say(&format!("{}\n", serde_json::to_string_pretty(&steps)?))
    } else {
        say(&order::list(&steps))
    }
}

fn rules() -> Result<(), Failure> {
    let mut out = stdout().lock();
    for rule in Rule::ALL {
        let excepted = match rule.strength() {
            Strength::Absolute => "",
            Strength::Exceptable => " (a file may except it, with a reason)",
        };
        writeln!(out, "{rule}\n    {}{excepted}", rule.meaning())?;
    }
    Ok(())
}

/// One region's file, without a fault of its own.
fn read(path: &Path) -> Result<RegionFile, Failure> {
    let source = source(path)?;
    check_alone(&source)
        .map(|document| document.file)
        .map_err(|findings| format!("{}: {findings}", source.name).into())
}

fn source(path: &Path) -> Result<Source, Failure> {
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => Ok(Source { name, text }),
        Err(error) => Err(format!("{name} cannot be read: {error}").into()),
    }
}

/// The files, and those of the folders that are YAML.
fn sources(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path)
            .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let is_yaml = |path: &PathBuf| {
            path.extension()
                .is_some_and(|extension| extension == "yaml" || extension == "yml")
        };
        files.extend(entries.into_iter().map(|entry| entry.path()).filter(is_yaml));
    }
    files.sort();
    files.dedup();
    files.iter().map(|path| source(path)).collect()
}
