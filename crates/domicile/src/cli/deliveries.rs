//! `domicile deliveries`: the events for the app, and what shall be sent again.

use clap::{Args, Subcommand, ValueEnum};
use domicile_delivery::desk::{EventSelection, EventsDesk};
use domicile_kernel::{EventId, LinkId, Subject, Timestamp};
use domicile_store::audit::Actor;
use serde_json::json as object;

use super::output::{Age, Page, json, list, or_dash, say, time};
use super::{Failure, not_found, opened};
use crate::region::Region;
use crate::settings::Environment;

#[derive(Subcommand, Clone)]
pub(super) enum DeliveriesCommand {
    /// List events, the newest first; what they say is not shown
    #[command(after_help = "Examples:
  domicile deliveries list --status pending --older-than 1h
  domicile deliveries list --subject user:12345 --format json")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// Only those after this sequence, where the page before ended
        #[arg(long, value_name = "SEQUENCE")]
        after: Option<i64>,
        #[command(flatten)]
        page: Page,
    },
    /// Show one event with every attempt to deliver it
    Show {
        /// Its id, which is also its webhook-id
        id: EventId,
    },
    /// Deliver events again, or what waits at once
    ///
    /// At least one criterion is needed. Ids stay the same, so the app tells a second delivery; the order within a link is
    /// kept.
    #[command(after_help = "Examples:
  domicile deliveries redrive --status pending
  domicile deliveries redrive --from 2026-12-01T09:00:00Z --before 2026-12-01T10:00:00Z --dry-run
  domicile deliveries redrive 018f2b6e-7c1a-7d3e-9a55-6f1d2c3b4a59")]
    Redrive {
        /// These events
        ids: Vec<EventId>,
        #[command(flatten)]
        filter: Filter,
        /// Say how many it would be, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// The app has not answered 2xx
    Pending,
    /// It has
    Delivered,
}

/// Which events are meant; every criterion that is given must hold.
#[derive(Args, Clone)]
pub(super) struct Filter {
    /// Whether the app took it
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Whom it is about
    #[arg(long)]
    subject: Option<Subject>,
    /// The link whose queue it is in
    #[arg(long, value_name = "LINK ID")]
    link: Option<LinkId>,
    /// Exactly this type, such as `recording.stored`
    #[arg(long = "type")]
    event_type: Option<String>,
    /// Became true at this time or later, such as `2026-12-01T09:00:00Z`
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Became true before this time
    #[arg(long, value_name = "TIME", conflicts_with = "older_than")]
    before: Option<Timestamp>,
    /// Became true longer ago than this, such as 2h
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,
}

impl Filter {
    fn is_empty(&self) -> bool {
        let Self {
            status,
            subject,
            link,
            event_type,
            from,
            before,
            older_than,
        } = self;
        status.is_none()
            && subject.is_none()
            && link.is_none()
            && event_type.is_none()
            && from.is_none()
            && before.is_none()
            && older_than.is_none()
    }

    fn selection(self, region: &Region, ids: Vec<EventId>) -> EventSelection {
        let now = region.ids.clock().now();
        EventSelection {
            ids,
            delivered: self.status.map(|status| status == Status::Delivered),
            subject: self.subject,
            mailbox: self.link.map(Into::into),
            event_type: self.event_type,
            from: self.from,
            before: self.before.or(self.older_than.and_then(|age| age.before(now))),
        }
    }
}

pub(super) async fn run(environment: Environment, command: DeliveriesCommand) -> Result<(), Failure> {
    let region = opened(&environment).await?;
    let desk = EventsDesk::new(region.db.clone(), region.ids.clone());
    match command {
        DeliveriesCommand::List { filter, after, page } => {
            let selection = filter.selection(&region, Vec::new());
            let events = desk.list(&selection, after, i64::from(page.limit)).await?;
            let header = [
                "OCCURRED",
                "ID",
                "STATUS",
                "ATTEMPTS",
                "DELIVERED",
                "TYPE",
                "SUBJECT",
            ];
            list(
                page,
                &events,
                header,
                |event| {
                    [
                        time(event.occurred_at),
                        event.id.to_string(),
                        event.status.clone(),
                        event.attempts.to_string(),
                        or_dash(event.delivered_at.map(time)),
                        event.event_type.clone(),
                        or_dash(event.subject.as_ref()),
                    ]
                },
                |event| event.sequence.to_string(),
            )
        }
        DeliveriesCommand::Show { id } => {
            let (event, attempts) = desk.show(id).await?.ok_or_else(|| not_found("event", id))?;
            say(&json(&object!({ "event": event, "attempts": attempts }))?)
        }
        DeliveriesCommand::Redrive { ids, filter, dry_run } => {
            if ids.is_empty() && filter.is_empty() {
                return Err("say which events: ids, or at least one of --status, --subject, --link, --type, --from, --before, --older-than".into());
            }
            if !region.delivery.has_destination() {
                return Err(
                    "DOMICILE_APP_EVENTS_URL is not set: the app pulls its events, and none is delivered"
                        .into(),
                );
            }
            let one = ids.first().filter(|_| ids.len() == 1).copied();
            let selection = filter.selection(&region, ids);
            if dry_run {
                let events = desk.count(&selection).await?;
                return say(&format!("{events} events would be delivered again.\n"));
            }
            match (desk.redrive(&selection, &Actor::Operator).await?, one) {
                (0, Some(id)) => Err(not_found("event", id)),
                (events, _) => say(&format!("{events} events wait for delivery.\n")),
            }
        }
    }
}
