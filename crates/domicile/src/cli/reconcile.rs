//! `domicile reconcile`: rows and objects agree again after a restore.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use domicile_recordings::reconcile::{ReconcileOptions, Reconciliation};
use domicile_store::audit::{Actor, AuditEntry};
use domicile_store::{Conn, StoreError};

use super::output::{Age, Format, aligned, json, or_dash, say};
use super::{Failure, opened};
use crate::region::Region;
use crate::settings::Environment;

/// Something does not agree, and was left so.
const DIFFERENT: u8 = 4;

#[derive(Args, Clone, Copy)]
#[command(
    after_help = "Ends with 0 where everything agrees or was mended, with 4 where a dry run found something.

Examples:
  domicile reconcile
  domicile reconcile --apply --since 7d
  domicile reconcile --apply --deep --grace 0s --format json"
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub(super) struct ReconcileArgs {
    /// Mend it; without this nothing is changed
    #[arg(long)]
    apply: bool,
    /// Say what would be done and change nothing, as without --apply
    #[arg(long, conflicts_with = "apply")]
    dry_run: bool,
    /// Read every stored object and compare its SHA-256, not only its size
    #[arg(long)]
    deep: bool,
    /// Leave objects that no row names alone while they are younger than this
    #[arg(long, value_name = "AGE", default_value = "24h")]
    grace: Age,
    /// Ask Zoom for recordings since then that nobody knows here: at least since the moment of the restore
    #[arg(long, value_name = "AGE", default_value = "30d")]
    since: Age,
    /// Do not ask Zoom
    #[arg(long, conflicts_with = "since")]
    without_zoom: bool,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(super) async fn run(environment: Environment, arguments: ReconcileArgs) -> Result<ExitCode, Failure> {
    let region = opened(&environment).await?;
    let now = region.ids.clock().now();
    let options = ReconcileOptions {
        apply: arguments.apply,
        deep: arguments.deep,
        grace: arguments.grace.span(),
        since: arguments.since.before(now).filter(|_| !arguments.without_zoom),
    };
    let report = region.reconciler().reconcile(&options).await?;
    if arguments.apply && !report.found.is_empty() {
        audit(&region).await?;
    }
    say(&match arguments.format {
        Format::Json => json(&report)?,
        Format::Table => described(&report)?,
    })?;
    Ok(if report.applied || report.found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERENT)
    })
}

async fn audit(region: &Region) -> Result<(), StoreError> {
    region
        .db
        .run_tx("audit_reconcile", async |conn: &mut Conn| {
            AuditEntry::done(Actor::Operator, "reconcile")
                .write(conn, &region.ids)
                .await
        })
        .await
}

/// A spelling of the JSON, which is the one of the documentation.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn described(report: &Reconciliation) -> Result<String, Failure> {
    let mut text = String::new();
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    if !report.found.is_empty() {
        let mut rows = vec![["DISCREPANCY", "ACT", "FILE OR LINK", "OBJECT", "BECAUSE"].map(str::to_owned)];
        for it in &report.found {
            let (discrepancy, act) = (word(it.discrepancy), word(it.act));
            *counts.entry((discrepancy.clone(), act.clone())).or_default() += 1;
            rows.push([
                discrepancy,
                act,
                or_dash(
                    it.file_id
                        .map(|id| id.to_string())
                        .or(it.link_id.map(|id| id.to_string())),
                ),
                or_dash(it.object_key.as_ref()),
                or_dash(it.because),
            ]);
        }
        text.push_str(&aligned(&rows)?);
        writeln!(text)?;
    }
    writeln!(
        text,
        "{} stored files, {} objects and {} links were looked at.",
        report.stored_files, report.objects, report.links
    )?;
    for ((discrepancy, act), count) in counts {
        writeln!(text, "{count:>8}  {discrepancy}: {act}")?;
    }
    match (report.found.is_empty(), report.applied) {
        (true, _) => writeln!(text, "Everything agrees.")?,
        (false, true) => writeln!(
            text,
            "This was done. What is fetched again: `domicile recordings list --status fetching`."
        )?,
        (false, false) => writeln!(text, "Nothing was changed: --apply does it.")?,
    }
    writeln!(
        text,
        "\nAfter a restore of the database: links whose tokens were rotated since need a new authorization once they are used \
         (`domicile links list --status needs_reauthorization`), and events that were delivered since are delivered again \
         with the same ids."
    )?;
    Ok(text)
}
