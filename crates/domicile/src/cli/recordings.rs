//! `domicile recordings`: how far each has come, and what shall be fetched again.

use clap::{Args, Subcommand};
use domicile_kernel::state::{RecordingStatus, TextState};
use domicile_kernel::{RecordingId, Subject, Timestamp, ZoomAccountId};
use domicile_recordings::desk::{RecordingSelection, RecordingsDesk};
use domicile_store::audit::Actor;
use serde_json::json as object;

use super::output::{Age, Page, json, list, say, time};
use super::{Failure, not_found, opened, state};
use crate::settings::Environment;

/// How many recordings are looked at in one query.
const BATCH: i64 = 500;

#[derive(Subcommand, Clone)]
pub(super) enum RecordingsCommand {
    /// List recordings, the newest first; topics are not shown
    #[command(after_help = "Examples:
  domicile recordings list --status incomplete
  domicile recordings list --status fetching --older-than 2h --format json")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// Only those after this one, where the page before ended
        #[arg(long, value_name = "ID")]
        after: Option<RecordingId>,
        #[command(flatten)]
        page: Page,
    },
    /// Show one recording with its files, and why one failed
    Show {
        /// Its id
        id: RecordingId,
    },
    /// Fetch again what failed of recordings, and what waits at once
    ///
    /// At least one criterion is needed. Stored files are left alone.
    #[command(after_help = "Examples:
  domicile recordings retry 018f2b6e-7c1a-7d3e-9a55-6f1d2c3b4a59
  domicile recordings retry --status incomplete --from 2026-12-01T00:00:00Z --dry-run")]
    Retry {
        /// These recordings
        ids: Vec<RecordingId>,
        #[command(flatten)]
        filter: Filter,
        /// Say how many it would be, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which recordings are meant; every criterion that is given must hold.
#[derive(Args, Clone)]
pub(super) struct Filter {
    /// fetching, stored or incomplete
    #[arg(long, value_parser = state::<RecordingStatus>)]
    status: Option<RecordingStatus>,
    /// Whose it is
    #[arg(long)]
    subject: Option<Subject>,
    /// Exactly this Zoom account
    #[arg(long)]
    account: Option<String>,
    /// Known at this time or later, such as `2026-12-01T09:00:00Z`
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Known longer than this, such as 2h
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,
}

impl Filter {
    fn is_empty(&self) -> bool {
        let Self {
            status,
            subject,
            account,
            from,
            older_than,
        } = self;
        status.is_none() && subject.is_none() && account.is_none() && from.is_none() && older_than.is_none()
    }

    fn selection(self, now: Timestamp) -> RecordingSelection {
        RecordingSelection {
            status: self.status,
            subject: self.subject,
            zoom_account_id: self.account.map(ZoomAccountId::new),
            from: self.from,
            before: self.older_than.and_then(|age| age.before(now)),
        }
    }
}

pub(super) async fn run(environment: Environment, command: RecordingsCommand) -> Result<(), Failure> {
    let region = opened(&environment).await?;
    let desk = RecordingsDesk::new(region.db.clone(), region.ids.clone());
    let now = region.ids.clock().now();
    match command {
        RecordingsCommand::List { filter, after, page } => {
            let limit = i64::from(page.limit);
            let recordings = desk.list(&filter.selection(now), after, limit).await?;
            let header = ["KNOWN SINCE", "ID", "STATUS", "ACCOUNT", "CHANGED", "SUBJECT"];
            list(
                page,
                &recordings,
                header,
                |it| {
                    [
                        time(it.created_at),
                        it.id.to_string(),
                        it.status.as_str().to_owned(),
                        it.zoom_account_id.clone(),
                        time(it.updated_at),
                        it.subject.to_string(),
                    ]
                },
                |it| it.id.to_string(),
            )
        }
        RecordingsCommand::Show { id } => {
            let (recording, files) = desk.show(id).await?.ok_or_else(|| not_found("recording", id))?;
            say(&json(&object!({ "recording": recording, "files": files }))?)
        }
        RecordingsCommand::Retry { ids, filter, dry_run } => {
            if ids.is_empty() && filter.is_empty() {
                return Err("say which recordings: ids, or at least one of --status, --subject, --account, --from, --older-than".into());
            }
            let one = ids.first().filter(|_| ids.len() == 1).copied();
            let ids = if ids.is_empty() {
                matching(&desk, &filter.selection(now)).await?
            } else {
                ids
            };
            if dry_run {
                return say(&format!(
                    "What is not stored of {} recordings would be fetched.\n",
                    ids.len()
                ));
            }
            let retried = desk.retry(&ids, &Actor::Operator).await?;
            if let (Some(id), true) = (one, retried.is_empty()) {
                return Err(not_found("recording", id));
            }
            let files: usize = retried.iter().map(|(_, files)| files).sum();
            say(&format!(
                "{files} files of {} recordings are fetched.\n",
                retried.len()
            ))
        }
    }
}

/// All recordings of a selection that are not stored.
async fn matching(
    desk: &RecordingsDesk,
    selection: &RecordingSelection,
) -> Result<Vec<RecordingId>, Failure> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = desk.list(selection, after, BATCH).await?;
        let Some(last) = page.last() else {
            return Ok(ids);
        };
        after = Some(last.id);
        let unfinished = page.iter().filter(|it| it.status != RecordingStatus::Stored);
        ids.extend(unfinished.map(|it| it.id));
    }
}
