//! `domicile admission`: which Zoom accounts may link.

use std::io::Write;

use clap::Subcommand;
use domicile_kernel::ZoomAccountId;
use domicile_store::audit::Actor;

use super::Failure;
use crate::outside;
use crate::region::Region;
use crate::settings::{Environment, Settings};

/// So many accounts are read at once.
const PAGE: i64 = 500;

#[derive(Subcommand, Clone)]
pub(super) enum Command {
    /// List the admitted accounts, one a line: account, when, by whom
    List,
    /// Admit a Zoom account
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
        Command::List => {
            let mut after: Option<ZoomAccountId> = None;
            loop {
                let page = linking.admitted(after.as_ref(), PAGE).await?;
                for account in &page {
                    writeln!(
                        out,
                        "{}\t{}\t{}",
                        account.zoom_account_id,
                        account.admitted_at.to_rfc3339(),
                        account.admitted_by
                    )?;
                }
                match page.into_iter().last() {
                    Some(last) => after = Some(last.zoom_account_id),
                    None => return Ok(()),
                }
            }
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
