//! `domicile links`: who is linked, and how the grants do.

use clap::{Args, Subcommand};
use domicile_kernel::state::{LinkStatus, ReauthorizationReason, TextState};
use domicile_kernel::{LinkId, Subject, ZoomAccountId, ZoomUserId};
use domicile_linking::desk::{LinkSelection, LinksDesk};
use serde_json::json as object;

use super::output::{Age, Page, json, list, or_dash, say, time};
use super::{Failure, not_found, opened, state};
use crate::settings::Environment;

#[derive(Subcommand, Clone)]
pub(super) enum LinksCommand {
    /// List links, the newest first
    #[command(after_help = "Examples:
  domicile links list --status needs_reauthorization
  domicile links list --account <Zoom account> --format json")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// Only those after this one, where the page before ended
        #[arg(long, value_name = "ID")]
        after: Option<LinkId>,
        #[command(flatten)]
        page: Page,
    },
    /// Show one link with how its grant does; no token is shown
    Show {
        /// Its id
        id: LinkId,
    },
}

/// Which links are meant; every criterion that is given must hold.
#[derive(Args, Clone)]
pub(super) struct Filter {
    /// active, `needs_reauthorization` or revoked
    #[arg(long, value_parser = state::<LinkStatus>)]
    status: Option<LinkStatus>,
    /// Why it needs a new authorization, such as `user_gone`
    #[arg(long, value_parser = state::<ReauthorizationReason>)]
    reason: Option<ReauthorizationReason>,
    /// Whom the app linked
    #[arg(long)]
    subject: Option<Subject>,
    /// Exactly this Zoom account
    #[arg(long)]
    account: Option<String>,
    /// Exactly this Zoom user
    #[arg(long)]
    user: Option<String>,
    /// Unchanged for longer than this, such as 30d
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,
}

pub(super) async fn run(environment: Environment, command: LinksCommand) -> Result<(), Failure> {
    let region = opened(&environment).await?;
    let desk = LinksDesk::new(region.db.clone());
    match command {
        LinksCommand::List { filter, after, page } => {
            let now = region.ids.clock().now();
            let selection = LinkSelection {
                status: filter.status,
                reason: filter.reason,
                subject: filter.subject,
                zoom_account_id: filter.account.map(ZoomAccountId::new),
                zoom_user_id: filter.user.map(ZoomUserId::new),
                updated_before: filter.older_than.and_then(|age| age.before(now)),
            };
            let links = desk.list(&selection, after, i64::from(page.limit)).await?;
            let views: Vec<_> = links.iter().map(|link| (link, link.view())).collect();
            let views: Vec<_> = views.iter().map(|(link, view)| Listed { link, view }).collect();
            let header = [
                "SINCE",
                "ID",
                "STATUS",
                "REASON",
                "ACCOUNT",
                "ZOOM USER",
                "SUBJECT",
            ];
            list(
                page,
                &views,
                header,
                |Listed { link, .. }| {
                    [
                        time(link.created_at),
                        link.id.to_string(),
                        link.status.as_str().to_owned(),
                        or_dash(link.reauthorization_reason.map(TextState::as_str)),
                        link.zoom_account_id.to_string(),
                        or_dash(link.zoom_user_id.as_ref()),
                        link.subject.to_string(),
                    ]
                },
                |Listed { link, .. }| link.id.to_string(),
            )
        }
        LinksCommand::Show { id } => {
            let (link, grant) = desk.show(id).await?.ok_or_else(|| not_found("link", id))?;
            say(&json(&object!({ "link": link.view(), "grant": grant }))?)
        }
    }
}

/// A link for the table, and as programs see it.
struct Listed<'a> {
    link: &'a domicile_linking::Link,
    view: &'a domicile_linking::LinkView<'a>,
}

impl serde::Serialize for Listed<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.view.serialize(serializer)
    }
}
