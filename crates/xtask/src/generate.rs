//! `cargo xtask gen`: files that are derived from others.

mod catalog;
mod render;
#[cfg(test)]
mod schema_rules;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use domicile_localpg::Cluster;

use crate::run::{Failure, Outcome, note};
use crate::tree;

/// The options of `gen`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail and show the difference where a file is stale
    #[arg(long)]
    pub(crate) check: bool,
}

/// Writes or checks every derived file.
pub(crate) fn run(args: &Args) -> Outcome {
    let derived = [
        (
            "regions/schema.json",
            domicile_region::schema(),
            "the types of the region files",
        ),
        (
            "helm/domicile/values.schema.json",
            domicile_region::values_schema(),
            "the types of the region files",
        ),
        (
            "helm/domicile/values.yaml",
            domicile_region::values(),
            "the types of the region files",
        ),
        ("crates/store/src/schema.rs", schema()?, "the migrations"),
    ];
    let mut stale = Vec::new();
    for (name, wanted, source) in derived {
        let path = tree::root().join(name);
        if wanted == fs::read_to_string(&path).unwrap_or_default() {
            continue;
        }
        if args.check {
            show_difference(&path, &wanted)?;
            stale.push(format!("{name} does not fit {source}"));
        } else {
            fs::write(&path, wanted)?;
            println!("wrote {name}");
        }
    }
    if stale.is_empty() {
        Ok(())
    } else {
        Err(Failure(format!(
            "{}; run `cargo xtask gen`",
            stale.join(", and ")
        )))
    }
}

/// The text of `schema.rs`, from a throw-away cluster with all migrations.
fn schema() -> Outcome<String> {
    let cluster = Cluster::scratch(tree::tools(), note)?;
    let tables = catalog::block_on(async {
        let client = catalog::connect(&cluster.url("postgres")).await?;
        catalog::migrate(&client).await?;
        catalog::read(&client).await
    })?;
    formatted(&render::schema(&tables)?)
}

/// Passes the text through rustfmt with the tree's settings.
fn formatted(text: &str) -> Outcome<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout", "--config-path"])
        .arg(tree::root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = rustfmt.stdin.take() {
        input.write_all(text.as_bytes())?;
    }
    let output = rustfmt.wait_with_output()?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(Failure("rustfmt refused the generated schema".to_owned()))
    }
}

/// Prints how the file would change.
fn show_difference(path: &PathBuf, wanted: &str) -> Outcome {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(wanted.as_bytes())?;
    // It exits with 1 when there is a difference, which is why we are here.
    Command::new("diff")
        .arg("-u")
        .arg(path)
        .arg(file.path())
        .status()?;
    Ok(())
}
