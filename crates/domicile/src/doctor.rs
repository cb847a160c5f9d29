//! `domicile doctor`: looks at everything that the region needs, and says what is wrong with it and what to do.
//!
//! Nothing is left out because something before it is at fault: what cannot be looked at is told as skipped, with the
//! reason. Nothing is changed, but for a small object that is written to the storage, read back and deleted. No finding holds
//! a secret (INV-3).

mod app;
mod database;
mod hosts;
mod network;
mod public;
mod report;
mod storage;
mod zoom;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domicile_egress::{Client, Egress, Fence, SystemResolver, Timeouts};
use domicile_kernel::Ids;
use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use crate::region::{Callable, fence};
use crate::settings::{Environment, Parts};

pub use report::{Finding, Report, Severity};

/// How many examinations run at a time.
const AT_ONCE: usize = 4;
/// How long one may take: longer than all calls in it that run into their time-outs.
const PATIENCE: Duration = Duration::from_secs(60);
/// A way out for small answers; whoever needs longer is at fault.
const CALL: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(8),
    total: Some(Duration::from_secs(10)),
};

type Examination<'a> = Pin<Box<dyn Future<Output = Vec<Finding>> + Send + 'a>>;

/// Examines the region of this environment.
pub async fn examine(environment: &Environment, ids: Ids) -> Report {
    let (parts, faults) = Parts::of(environment);
    let mut findings: Vec<_> = match &faults {
        None => vec![Finding::ok("settings", "every setting is there and makes sense")],
        Some(faults) => faults
            .iter()
            .map(|fault| {
                let remedy = format!(
                    "set {} right; `domicile config settings` says what each setting means",
                    fault.setting
                );
                Finding::fault("settings", fault.to_string(), remedy)
            })
            .collect(),
    };
    let doctor = Doctor {
        parts,
        sound_settings: faults.is_none(),
        ids,
    };
    let examinations: [(&'static str, Examination<'_>); 6] = [
        ("database", Box::pin(database::examine(&doctor))),
        ("storage", Box::pin(storage::examine(&doctor))),
        ("zoom", Box::pin(zoom::examine(&doctor))),
        ("public", Box::pin(public::examine(&doctor))),
        ("app", Box::pin(app::examine(&doctor))),
        ("egress", Box::pin(hosts::examine(&doctor))),
    ];
    let found: Vec<Vec<Finding>> = stream::iter(examinations)
        .map(|(name, examination)| async move {
            timeout(PATIENCE, examination).await.unwrap_or_else(|_| {
                let found = format!("the examination took longer than {} seconds", PATIENCE.as_secs());
                let remedy = "something accepts connections and answers none; look at proxies and network policies in between";
                vec![Finding::fault(name, found, remedy)]
            })
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    findings.extend(found.into_iter().flatten());
    Report {
        region: doctor.parts.region.as_ref().map(|region| region.id.to_string()),
        version: env!("CARGO_PKG_VERSION"),
        examined_at: doctor.ids.clock().now(),
        findings,
    }
}

/// What the examinations look at.
struct Doctor {
    parts: Parts,
    sound_settings: bool,
    ids: Ids,
}

impl Doctor {
    /// The way out that the region itself has, as far as its settings are sound.
    fn egress(&self) -> Result<Egress, String> {
        let parts = &self.parts;
        let callable = Callable {
            zoom: parts.zoom.as_ref(),
            objects: parts.objects.as_ref(),
            vault: parts.vault.as_ref(),
            app: parts.app.as_ref(),
            egress_allow: &parts.egress_allow,
        };
        let fence = fence(&callable).map_err(|error| network::chain(&error))?;
        behind(fence)
    }

    /// Why something is not there: it is at fault, or it was not asked for.
    fn absent(&self, setting: &str, otherwise: &str) -> String {
        if self.sound_settings {
            format!("{setting} is not set: {otherwise}")
        } else {
            format!("{setting} is not set or at fault, see the settings")
        }
    }
}

fn behind(fence: Fence) -> Result<Egress, String> {
    Egress::new(Arc::new(fence), Arc::new(SystemResolver)).map_err(|error| network::chain(&error))
}

fn client(egress: &Egress) -> Client {
    egress.client("doctor", CALL)
}
