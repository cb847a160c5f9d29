//! `domicile inbox`: what Zoom sent, what is in quarantine, and what shall be tried again.

use std::fmt::Write as _;
use std::io::{Write, stdout};

use clap::{Args, Subcommand};
use domicile_intake::{Endpoint, InboxDesk, InboxEntry, InboxStatus, QuarantineReason, RowStatus, Selection};
use domicile_kernel::{InboxId, Timestamp, ZoomAccountId};
use serde_json::Value;

use super::output::{Format, Page, aligned, json, list, or_dash, time};
use super::{Failure, not_found, opened};
use crate::settings::Environment;

#[derive(Subcommand, Clone)]
pub(super) enum InboxCommand {
    /// List rows, the newest first
    #[command(after_help = "Examples:
  domicile inbox list --status quarantined --reason unknown_account
  domicile inbox list --event recording.completed --from 2026-12-01T09:00:00Z --format json")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// Only those after this one, where the page before ended
        #[arg(long, value_name = "ID")]
        after: Option<InboxId>,
        #[command(flatten)]
        page: Page,
    },
    /// Show one row
    Show {
        /// Its id
        id: InboxId,
        /// Show its body too: personal data; members that hold secrets are withheld
        #[arg(long)]
        body: bool,
    },
    /// Let rows be dispatched again, whether they were dispatched or are in quarantine
    ///
    /// Handlers take the same event any number of times. At least one criterion is needed.
    #[command(after_help = "Examples:
  domicile inbox replay --status quarantined --reason unknown_account --account <Zoom account> --dry-run
  domicile inbox replay --event recording.completed --from 2026-12-01T09:00:00Z --before 2026-12-01T10:00:00Z")]
    Replay {
        /// These rows
        ids: Vec<InboxId>,
        #[command(flatten)]
        filter: Filter,
        /// Only say how many it would be
        #[arg(long)]
        dry_run: bool,
    },
    /// Take rows that wait for their handlers away from them
    Quarantine {
        /// These rows
        #[arg(required = true)]
        ids: Vec<InboxId>,
    },
    /// Say what waits, what is in quarantine and when Zoom was last heard of
    Status {
        /// How to say it
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
}

/// Which rows are meant; every criterion that is given must hold.
#[derive(Args, Clone)]
pub(super) struct Filter {
    /// pending, dispatched or quarantined
    #[arg(long)]
    status: Option<RowStatus>,
    /// In quarantine for this reason, such as `unknown_account`
    #[arg(long)]
    reason: Option<QuarantineReason>,
    /// events or bot
    #[arg(long)]
    endpoint: Option<Endpoint>,
    /// Exactly this event of Zoom's, such as `recording.completed`
    #[arg(long)]
    event: Option<String>,
    /// Exactly this Zoom account
    #[arg(long)]
    account: Option<String>,
    /// Received at this time or later, such as `2026-12-01T09:00:00Z`
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Received before this time
    #[arg(long, value_name = "TIME")]
    before: Option<Timestamp>,
}

impl Filter {
    fn selection(self, ids: Vec<InboxId>) -> Selection {
        Selection {
            ids,
            status: self.status,
            reason: self.reason,
            endpoint: self.endpoint,
            event_type: self.event,
            zoom_account_id: self.account.map(ZoomAccountId::new),
            received_from: self.from,
            received_before: self.before,
        }
    }

    fn is_empty(&self) -> bool {
        let Self {
            status,
            reason,
            endpoint,
            event,
            account,
            from,
            before,
        } = self;
        status.is_none()
            && reason.is_none()
            && endpoint.is_none()
            && event.is_none()
            && account.is_none()
            && from.is_none()
            && before.is_none()
    }
}

pub(super) async fn run(environment: Environment, command: InboxCommand) -> Result<(), Failure> {
    let region = opened(&environment).await?;
    let desk = InboxDesk::new(region.db.clone(), region.ids.clone(), region.vault.clone());
    let text = match command {
        InboxCommand::List { filter, after, page } => {
            let selection = filter.selection(Vec::new());
            let entries = desk.list(&selection, after, i64::from(page.limit)).await?;
            return table(page, &entries);
        }
        InboxCommand::Show { id, body } => show(&desk, id, body).await?,
        InboxCommand::Replay { ids, filter, dry_run } => replay(&desk, ids, filter, dry_run).await?,
        InboxCommand::Quarantine { ids } => {
            let rows = desk.quarantine(&ids).await?;
            let left = ids.len().saturating_sub(rows);
            let mut text = format!("{} in quarantine now.\n", rows_of(rows as u64));
            if left > 0 {
                writeln!(
                    text,
                    "{} did not wait for a handler, or does not exist, and was left.",
                    rows_of(left as u64)
                )?;
            }
            text
        }
        InboxCommand::Status { format } => {
            let status = desk.status().await?;
            match format {
                Format::Table => describe(&status)?,
                Format::Json => json(&status)?,
            }
        }
    };
    Ok(stdout().write_all(text.as_bytes())?)
}

async fn show(desk: &InboxDesk, id: InboxId, with_body: bool) -> Result<String, Failure> {
    let Some(entry) = desk.show(id).await? else {
        return Err(not_found(
            "row (they are deleted a week after they were dispatched, a month after they were quarantined) with the id",
            id,
        ));
    };
    let mut text = json(&entry)?;
    if with_body {
        let body = desk.body(id).await?;
        match serde_json::from_slice::<Value>(body.expose()) {
            Ok(mut value) => {
                withhold(&mut value);
                text.push_str(&json(&value)?);
            }
            Err(_) => writeln!(text, "The body is not JSON ({} bytes).", body.expose().len())?,
        }
    }
    Ok(text)
}

async fn replay(
    desk: &InboxDesk,
    ids: Vec<InboxId>,
    filter: Filter,
    dry_run: bool,
) -> Result<String, Failure> {
    if ids.is_empty() && filter.is_empty() {
        return Err("say which rows: ids, or at least one of --status, --reason, --endpoint, --event, --account, --from, --before".into());
    }
    let selection = filter.selection(ids);
    if dry_run {
        let rows = desk.count_finished(&selection).await?;
        return Ok(format!("{} would be dispatched again.\n", rows_of(rows)));
    }
    let replayed = desk.replay(&selection).await?;
    let mut text = format!("{} for the handlers again.\n", waits(replayed.rows));
    if replayed.unreadable > 0 {
        writeln!(
            text,
            "{} left: no event can be read from the body.",
            rows_of(replayed.unreadable)
        )?;
    }
    Ok(text)
}

fn waits(rows: u64) -> String {
    match rows {
        1 => "1 row waits".to_owned(),
        rows => format!("{rows} rows wait"),
    }
}

fn rows_of(rows: u64) -> String {
    match rows {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    }
}

/// Replaces what opens something at Zoom (INV-3).
fn withhold(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let name = name.to_ascii_lowercase();
                let secret = ["token", "password", "passcode", "secret", "signature"]
                    .iter()
                    .any(|word| name.contains(word));
                if secret {
                    *value = Value::from("(withheld)");
                } else {
                    withhold(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(withhold),
        Value::String(text) => {
            // A link may carry a passcode in its query.
            if let Some((base, _)) = text.split_once('?')
                && base.starts_with("https://")
            {
                *text = format!("{base}?(withheld)");
            }
        }
        _ => {}
    }
}

fn table(page: Page, entries: &[InboxEntry]) -> Result<(), Failure> {
    let header = [
        "RECEIVED", "ID", "ENDPOINT", "STATUS", "REASON", "EVENT", "ACCOUNT",
    ];
    list(
        page,
        entries,
        header,
        |entry| {
            [
                time(entry.received_at),
                entry.id.to_string(),
                entry.endpoint.clone(),
                entry.status.clone(),
                or_dash(entry.reason.as_ref()),
                or_dash(entry.event_type.as_ref()),
                or_dash(entry.zoom_account_id.as_ref()),
            ]
        },
        |entry| entry.id.to_string(),
    )
}

fn describe(status: &InboxStatus) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    match status.oldest_pending_at {
        None => writeln!(text, "Nothing waits for its handlers.")?,
        Some(oldest) => writeln!(
            text,
            "{} for the handlers, the oldest since {}.",
            waits(u64::try_from(status.pending).unwrap_or(0)),
            time(oldest)
        )?,
    }
    if status.quarantined.is_empty() {
        writeln!(text, "Nothing is in quarantine.")?;
    } else {
        writeln!(text, "\nIn quarantine:")?;
        for (reason, rows) in &status.quarantined {
            writeln!(text, "{rows:>10}  {reason}")?;
        }
    }
    writeln!(text)?;
    if status.silence.is_empty() {
        writeln!(text, "Zoom was never heard of.")?;
        return Ok(text);
    }
    let mut rows = vec![["LAST HEARD", "ENDPOINT", "KIND", "ACCOUNT"].map(str::to_owned)];
    rows.extend(status.silence.iter().map(|silence| {
        [
            time(silence.last_at),
            silence.endpoint.clone(),
            silence.kind.clone(),
            silence.zoom_account_id.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }));
    text.push_str(&aligned(&rows)?);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domicile_intake::Silence;
    use serde_json::json;

    #[test]
    fn what_opens_something_at_zoom_is_withheld_and_the_rest_is_shown() {
        let mut body = json!({
            "event": "recording.completed",
            "download_token": "PLANTED",
            "payload": {"plainToken": "PLANTED", "object": {
                "topic": "Review",
                "password": "PLANTED",
                "recording_play_passcode": "PLANTED",
                "share_url": "https://zoom.us/rec/share/x?pwd=PLANTED",
                "recording_files": [{"id": "f", "download_url": "https://zoom.us/rec/download/y?access_token=PLANTED"}],
            }},
        });
        withhold(&mut body);
        let text = body.to_string();
        assert!(!text.contains("PLANTED"), "{text}");
        for shown in ["Review", "recording.completed", "https://zoom.us/rec/share/x?"] {
            assert!(text.contains(shown), "{text}");
        }
    }

    #[test]
    fn the_status_says_what_waits_and_when_zoom_was_last_heard_of() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let status = InboxStatus {
            pending: 2,
            oldest_pending_at: Some(at("2026-12-01T09:00:00Z")),
            quarantined: vec![("unknown_account".to_owned(), 12)],
            silence: vec![
                Silence {
                    endpoint: "events".to_owned(),
                    kind: "challenge".to_owned(),
                    zoom_account_id: None,
                    last_at: at("2026-11-30T08:00:00Z"),
                },
                Silence {
                    endpoint: "events".to_owned(),
                    kind: "event".to_owned(),
                    zoom_account_id: Some("acc".to_owned()),
                    last_at: at("2026-12-01T08:59:00Z"),
                },
            ],
        };
        let lines = [
            "2 rows wait for the handlers, the oldest since 2026-12-01T09:00:00Z.",
            "",
            "In quarantine:",
            "        12  unknown_account",
            "",
            "LAST HEARD            ENDPOINT  KIND       ACCOUNT",
            "2026-11-30T08:00:00Z  events    challenge  -",
            "2026-12-01T08:59:00Z  events    event      acc",
            "",
        ];
        assert_eq!(describe(&status).unwrap(), lines.join("\n"));
    }

    #[test]
    fn a_name_that_zoom_chose_cannot_command_the_terminal() {
        let rows = [["a\u{1b}[31mb".to_owned(), "c".to_owned()]];
        assert!(!aligned(&rows).unwrap().contains('\u{1b}'));
    }
}
