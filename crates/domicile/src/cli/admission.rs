//! `domicile admission`: which Zoom accounts may link.

use std::io::Write;

use clap::Subcommand;
use domicile_kernel::ZoomAccountId;
use domicile_store::audit::Actor;

use super::output::{Page, json, list, say, time};
use super::{Failure, not_found};
use crate::outside;
use crate::region::Region;
use crate::settings::{Environment, Settings};

#[derive(Subcommand, Clone)]
pub(super) enum Command {
    /// List the admitted accounts, by their ids
    #[command(after_help = "Examples:
  domicile admission list
  domicile admission list --format json --limit 1000")]
    List {
        /// Only those after this one, where the page before ended
        #[arg(long, value_name = "ACCOUNT")]
        after: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show one admission
    Show {
        /// Zoom's account id
        zoom_account_id: String,
    },
    /// Admit a Zoom account
    #[command(after_help = "Example:
  domicile admission add abcDEFghiJKLmnoPQR_stu")]
    Add {
        /// Zoom's account id
        zoom_account_id: String,
    },
    /// Take an admission back; links that exist stay
    Remove {
        /// Zoom's account id
        zoom_account_id: String,
    },
}

pub(super) async fn run(environment: Environment, command: Command) -> Result<(), Failure> {
    let settings = Settings::from_environment(&environment)?;
    let region = Region::build(settings, outside::ids())?;
    region.check().await?;
    let linking = &region.linking;
    let mut out = std::io::stdout();
    match command {
        Command::List { after, page } => {
            let after = after.map(ZoomAccountId::new);
            let admitted = linking.admitted(after.as_ref(), i64::from(page.limit)).await?;
            list(
                page,
                &admitted,
                ["ACCOUNT", "ADMITTED", "BY"],
                |it| {
                    [
                        it.zoom_account_id.to_string(),
                        time(it.admitted_at),
                        it.admitted_by.clone(),
                    ]
                },
                |it| it.zoom_account_id.to_string(),
            )?;
        }
        Command::Show { zoom_account_id } => {
            let account = ZoomAccountId::new(checked(zoom_account_id)?);
            let admitted = linking.admission(&account).await?;
            let admitted = admitted.ok_or_else(|| not_found("admission of the Zoom account", account))?;
            say(&json(&admitted)?)?;
        }
        Command::Add { zoom_account_id } => {
            let account = ZoomAccountId::new(checked(zoom_account_id)?);
            let admitted = linking.admit(&account, &Actor::Operator).await?;
            writeln!(
                out,
                "The Zoom account {account} may link; admitted by {} at {}.",
                admitted.admitted_by,
                admitted.admitted_at.to_rfc3339()
            )?;
        }
        Command::Remove { zoom_account_id } => {
            let account = ZoomAccountId::new(checked(zoom_account_id)?);
            if linking.dismiss(&account, &Actor::Operator).await? {
                writeln!(
                    out,
                    "The Zoom account {account} may not link any more. Links that exist stay."
                )?;
            } else {
                writeln!(out, "The Zoom account {account} was not admitted.")?;
            }
        }
    }
    Ok(())
}

fn checked(id: String) -> Result<String, Failure> {
    if (1..=100).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(id)
    } else {
        Err("a Zoom account id has 1 to 100 printable characters and no space".into())
    }
}
