//! `domicile jobs`: what waits, what is in quarantine, and what shall be tried again.

use clap::{Args, Subcommand};
use domicile_kernel::JobId;
use domicile_kernel::state::JobStatus;
use domicile_leases::desk::{self, JobSelection};
use domicile_leases::statistics;
use domicile_store::audit::{Actor, AuditEntry};
use domicile_store::{Conn, StoreError};
use serde::Serialize;

use super::output::{Age, Format, Page, aligned, json, list, or_dash, say, time};
use super::{Failure, not_found, opened, state};
use crate::region::Region;
use crate::settings::Environment;

/// How many jobs one transaction redrives.
const BATCH: i64 = 500;

#[derive(Subcommand, Clone)]
pub(super) enum JobsCommand {
    /// List jobs, the newest first; a finished job has no row
    #[command(after_help = "Examples:
  domicile jobs list --status quarantined
  domicile jobs list --kind recording.fetch --lane <Zoom account> --older-than 1h --format json")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// Only those after this one, where the page before ended
        #[arg(long, value_name = "ID")]
        after: Option<JobId>,
        #[command(flatten)]
        page: Page,
    },
    /// Show one job
    Show {
        /// Its id
        id: JobId,
    },
    /// Count the jobs by kind and state
    Status {
        /// How to say it
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Start jobs that are in quarantine afresh
    ///
    /// At least one criterion is needed. Jobs that wait or run are left alone.
    #[command(after_help = "Examples:
  domicile jobs redrive --kind recording.fetch --class not_found --dry-run
  domicile jobs redrive --kind delivery.mailbox
  domicile jobs redrive 018f2b6e-7c1a-7d3e-9a55-6f1d2c3b4a59")]
    Redrive {
        /// These jobs
        ids: Vec<JobId>,
        #[command(flatten)]
        filter: Filter,
        /// Say how many it would be, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Take jobs that wait away from their workers
    Quarantine {
        /// These jobs
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
}

/// Which jobs are meant; every criterion that is given must hold.
#[derive(Args, Clone)]
pub(super) struct Filter {
    /// queued, leased or quarantined
    #[arg(long, value_parser = state::<JobStatus>)]
    status: Option<JobStatus>,
    /// Exactly this kind, such as `recording.fetch`
    #[arg(long)]
    kind: Option<String>,
    /// What it is about, such as a file's id
    #[arg(long)]
    key: Option<String>,
    /// Whose trouble it shares, such as a Zoom account's
    #[arg(long)]
    lane: Option<String>,
    /// The class of its last failure, such as `not_found`
    #[arg(long)]
    class: Option<String>,
    /// Asked for longer ago than this, such as 2h
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,
}

impl Filter {
    fn is_empty(&self) -> bool {
        let Self {
            status,
            kind,
            key,
            lane,
            class,
            older_than,
        } = self;
        status.is_none()
            && kind.is_none()
            && key.is_none()
            && lane.is_none()
            && class.is_none()
            && older_than.is_none()
    }

    fn selection(self, region: &Region, ids: Vec<JobId>) -> JobSelection {
        let now = region.ids.clock().now();
        JobSelection {
            ids,
            kind: self.kind,
            status: self.status,
            key: self.key,
            lane: self.lane,
            error_class: self.class,
            created_before: self.older_than.and_then(|age| age.before(now)),
        }
    }
}

pub(super) async fn run(environment: Environment, command: JobsCommand) -> Result<(), Failure> {
    let region = opened(&environment).await?;
    match command {
        JobsCommand::List { filter, after, page } => {
            let selection = filter.selection(&region, Vec::new());
            let mut conn = region.db.conn().await?;
            let jobs = desk::list(&mut conn, &selection, after, i64::from(page.limit)).await?;
            let header = ["DUE", "ID", "KIND", "STATUS", "ATTEMPTS", "CLASS", "KEY"];
            list(
                page,
                &jobs,
                header,
                |job| {
                    [
                        time(job.due_at),
                        job.id.to_string(),
                        job.kind.clone(),
                        job.status.to_string(),
                        job.attempts.to_string(),
                        or_dash(job.last_error_class.as_ref()),
                        job.key.clone(),
                    ]
                },
                |job| job.id.to_string(),
            )
        }
        JobsCommand::Show { id } => {
            let selection = JobSelection {
                ids: vec![id],
                ..JobSelection::default()
            };
            let mut jobs = desk::list(&mut *region.db.conn().await?, &selection, None, 1).await?;
            let job = jobs.pop().ok_or_else(|| not_found("job", id))?;
            say(&json(&job)?)
        }
        JobsCommand::Status { format } => status(&region, format).await,
        JobsCommand::Redrive { ids, filter, dry_run } => redrive(&region, ids, filter, dry_run).await,
        JobsCommand::Quarantine { ids } => quarantine(&region, &ids).await,
    }
}

async fn status(region: &Region, format: Format) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Row {
        kind: String,
        status: JobStatus,
        count: i64,
        oldest_due_at: Option<domicile_kernel::Timestamp>,
    }
    let statistics = statistics(&mut *region.db.conn().await?).await?;
    let counts: Vec<_> = statistics
        .into_iter()
        .map(|it| Row {
            kind: it.kind,
            status: it.status,
            count: it.count,
            oldest_due_at: it.oldest_due_at,
        })
        .collect();
    if format == Format::Json {
        return say(&json(&counts)?);
    }
    let mut rows = vec![["OLDEST DUE", "STATUS", "JOBS", "KIND"].map(str::to_owned)];
    rows.extend(counts.iter().map(|it| {
        [
            or_dash(it.oldest_due_at.map(time)),
            it.status.to_string(),
            it.count.to_string(),
            it.kind.clone(),
        ]
    }));
    say(&aligned(&rows)?)
}

async fn redrive(region: &Region, ids: Vec<JobId>, filter: Filter, dry_run: bool) -> Result<(), Failure> {
    if ids.is_empty() && filter.is_empty() {
        return Err(
            "say which jobs: ids, or at least one of --kind, --key, --lane, --class, --older-than, --status"
                .into(),
        );
    }
    let one = ids.first().filter(|_| ids.len() == 1).copied();
    let selection = JobSelection {
        status: Some(JobStatus::Quarantined),
        ..filter.selection(region, ids)
    };
    if dry_run {
        let jobs = desk::count(&mut *region.db.conn().await?, &selection).await?;
        return say(&format!("{jobs} jobs would start afresh.\n"));
    }
    let mut redriven = 0;
    loop {
        let now = region.ids.clock().now();
        let batch = region
            .db
            .run_tx(
                "redrive_jobs",
                async |conn: &mut Conn| -> Result<usize, StoreError> {
                    let jobs = desk::redrive_selected(conn, &selection, BATCH, now).await?;
                    if jobs > 0 {
                        AuditEntry::done(Actor::Operator, "jobs.redrive")
                            .write(conn, &region.ids)
                            .await?;
                    }
                    Ok(jobs)
                },
            )
            .await?;
        redriven += batch;
        if batch == 0 {
            break;
        }
    }
    match one {
        Some(id) if redriven == 0 => Err(not_found("job in quarantine with the id", id)),
        _ => say(&format!("{redriven} jobs start afresh.\n")),
    }
}

async fn quarantine(region: &Region, ids: &[JobId]) -> Result<(), Failure> {
    let now = region.ids.clock().now();
    let jobs = region
        .db
        .run_tx(
            "set_jobs_aside",
            async |conn: &mut Conn| -> Result<usize, StoreError> {
                let jobs = desk::set_aside(conn, ids, now).await?;
                if jobs > 0 {
                    AuditEntry::done(Actor::Operator, "jobs.quarantine")
                        .write(conn, &region.ids)
                        .await?;
                }
                Ok(jobs)
            },
        )
        .await?;
    let left = ids.len().saturating_sub(jobs);
    say(&format!(
        "{jobs} jobs in quarantine now; {left} did not wait or do not exist, and were left.\n"
    ))
}
