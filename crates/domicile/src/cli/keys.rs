//! `domicile keys`: the region's key-encryption keys.

use std::fmt::Write as _;
use std::io::{Write, stderr};

use clap::Subcommand;
use domicile_vault::{KeyStatus, RegionKeyStatus, RotationProgress, RotationReport, Vault};

use super::Failure;
use super::output::{Format, json, say};
use crate::outside;
use crate::region;
use crate::settings::{Environment, Settings};

#[derive(Subcommand, Clone, Copy)]
pub(super) enum KeysCommand {
    /// Re-wrap every data key under the first of `DOMICILE_VAULT_KEYS`, while traffic flows
    ///
    /// First add the new key at the end of the list and roll that out to every process; then move it to the front and roll
    /// that out; then rotate. It may be killed and begun again at any time.
    Rotate {
        /// How to say it
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// List the keys: what hangs on which one, and which one may be removed
    #[command(visible_alias = "list")]
    Status {
        /// How to say it
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
}

pub(super) async fn run(environment: Environment, command: KeysCommand) -> Result<(), Failure> {
    let settings = Settings::from_environment(&environment)?;
    let vault = region::vault(&settings, outside::ids()).await?;
    match command {
        KeysCommand::Rotate { format } => rotate(&vault, format).await,
        KeysCommand::Status { format } => {
            let status = vault.status().await?;
            let text = match format {
                Format::Table => describe(&status)?,
                Format::Json => json(&status)?,
            };
            say(&text)
        }
    }
}

async fn rotate(vault: &Vault, format: Format) -> Result<(), Failure> {
    let mut told = Told::default();
    let report = vault.rotate(|progress| told.tell(progress)).await?;
    say(&match format {
        Format::Table => summary(&report)?,
        Format::Json => json(&report)?,
    })?;
    if report.is_complete() {
        return Ok(());
    }
    Err(format!(
        "{} still hang on another region key than {:?}; run this again once that is mended",
        data_keys(report.status.to_rotate),
        report.sealing
    )
    .into())
}

/// Progress for whoever watches, about twenty lines in all.
#[derive(Default)]
struct Told {
    done: u64,
}

impl Told {
    fn tell(&mut self, progress: RotationProgress) {
        let RotationProgress {
            of,
            rotated,
            overtaken,
            failed,
        } = progress;
        let done = rotated + overtaken + failed;
        if done < of && done - self.done < of / 20 {
            return;
        }
        self.done = done;
        let failures = if failed == 0 {
            String::new()
        } else {
            format!(", {failed} in vain")
        };
        // What cannot be told is no reason to stop.
        let _ = writeln!(stderr(), "{done} of {of} data keys done{failures}");
    }
}

fn summary(report: &RotationReport) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let sealing = &report.sealing;
    writeln!(
        text,
        "{} re-wrapped under the region key {sealing:?}.",
        data_keys(report.rotated)
    )?;
    if report.overtaken > 0 {
        let number = data_keys(report.overtaken);
        writeln!(text, "{number} re-wrapped or destroyed by others meanwhile.")?;
    }
    for failure in &report.failures {
        let number = data_keys(failure.data_keys);
        writeln!(text, "{number} could not be re-wrapped: {}.", failure.reason)?;
        if failure.gave_up {
            let id = &failure.region_key;
            writeln!(
                text,
                "Too many in a row: the rest of what hangs on {id:?} was left."
            )?;
        }
    }
    for key in &report.status.region_keys {
        note(&mut text, key)?;
    }
    // What is left although nothing failed was made while the rotation ran.
    let untouched = report.failures.is_empty() && report.status.missing().next().is_none();
    if untouched && !report.is_complete() {
        let left = data_keys(report.status.to_rotate);
        writeln!(
            text,
            "{left} made meanwhile by processes that still seal with another key: give every process the list in which \
             {sealing:?} stands first."
        )?;
    }
    Ok(text)
}

fn describe(status: &KeyStatus) -> Result<String, std::fmt::Error> {
    let mut rows = vec![["REGION KEY", "KIND", "SEALS", "DATA KEYS"].map(str::to_owned)];
    rows.extend(status.region_keys.iter().map(|key| {
        [
            key.id.clone(),
            key.kind.unwrap_or("not configured").to_owned(),
            if key.seals { "yes" } else { "no" }.to_owned(),
            key.data_keys.to_string(),
        ]
    }));
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(String::len)
            .max()
    };
    let [id, kind, seals] = [0, 1, 2].map(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for [key, its_kind, it_seals, count] in &rows {
        writeln!(text, "{key:id$}  {its_kind:kind$}  {it_seals:seals$}  {count:>9}")?;
    }
    writeln!(text)?;
    for key in &status.region_keys {
        note(&mut text, key)?;
    }
    match status.to_rotate {
        0 => writeln!(text, "Nothing is to be rotated.")?,
        number => writeln!(
            text,
            "{} to be rotated: `domicile keys rotate`.",
            data_keys(number)
        )?,
    }
    Ok(text)
}

/// What the operator may or must do about one key.
fn note(text: &mut String, key: &RegionKeyStatus) -> std::fmt::Result {
    let id = &key.id;
    if !key.configured {
        let number = data_keys(key.data_keys);
        writeln!(
            text,
            "{number} on {id:?}, which DOMICILE_VAULT_KEYS does not hold: nothing that they sealed opens until it is put back."
        )
    } else if key.removable {
        writeln!(
            text,
            "Nothing hangs on {id:?}: it may be removed from DOMICILE_VAULT_KEYS. Keep it as long as a backup of the database \
             from before the rotation is kept."
        )
    } else {
        Ok(())
    }
}

fn data_keys(number: u64) -> String {
    match number {
        1 => "1 data key".to_owned(),
        number => format!("{number} data keys"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, kind: Option<&'static str>, seals: bool, data_keys: u64) -> RegionKeyStatus {
        RegionKeyStatus {
            id: id.to_owned(),
            kind,
            configured: kind.is_some(),
            seals,
            data_keys,
            removable: kind.is_some() && !seals && data_keys == 0,
        }
    }

    #[test]
    fn the_status_is_a_table_with_what_is_to_be_done() {
        let status = KeyStatus {
            region_keys: vec![
                key("new", Some("aws-kms"), true, 1200),
                key("old", Some("local"), false, 0),
                key("lost", None, false, 1),
            ],
            to_rotate: 1,
        };
        let lines = [
            "REGION KEY  KIND            SEALS  DATA KEYS",
            "new         aws-kms         yes         1200",
            "old         local           no             0",
            "lost        not configured  no             1",
            "",
            "Nothing hangs on \"old\": it may be removed from DOMICILE_VAULT_KEYS. Keep it as long as a backup of the database \
             from before the rotation is kept.",
            "1 data key on \"lost\", which DOMICILE_VAULT_KEYS does not hold: nothing that they sealed opens until it is put back.",
            "1 data key to be rotated: `domicile keys rotate`.",
            "",
        ];
        assert_eq!(describe(&status).unwrap(), lines.join("\n"));
    }
}
