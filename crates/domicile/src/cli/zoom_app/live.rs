//! The live apps: what differs, and bringing them to what is wanted.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _, stderr, stdin, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use domicile_egress::{Egress, Fence, HostRule, SystemResolver, Timeouts};
use domicile_region::RegionFile;
use domicile_zoom::host::ZoomHosts;
use domicile_zoom::manifest::apply::{self, ApplyError, Plan};
use domicile_zoom::manifest::lint::lint;
use domicile_zoom::manifest::render::{self, AppKind};
use domicile_zoom::manifest::{Manifest, ManifestApi};
use url::Url;

use super::{DIFFERENT, files, lines};
use crate::cli::{Failure, chain};
use crate::outside::SystemClock;
use crate::settings::{Environment, MarketplaceSettings};

/// Zoom's validator is not fast, and an update is one of its heavy calls.
const CALL: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(30),
    total: Some(Duration::from_secs(60)),
};

/// How to apply.
#[derive(Clone, Copy)]
pub(super) struct Order {
    pub(super) asks: bool,
    pub(super) may_blank_secrets: bool,
}

pub(super) async fn plan(
    environment: &Environment,
    path: &Path,
    region: &RegionFile,
    kinds: Vec<AppKind>,
) -> Result<ExitCode, Failure> {
    let settings = MarketplaceSettings::from_environment(environment)?;
    let api = api(&settings, region)?;
    let mut outcome = Outcome::default();
    for kind in kinds {
        outcome.look(&api, path, region, kind).await?;
    }
    Ok(outcome.code())
}

/// Every region of the folder, each with its failures to itself.
pub(super) async fn drift(environment: &Environment, folder: &Path) -> Result<ExitCode, Failure> {
    let settings = MarketplaceSettings::from_environment(environment)?;
    let mut outcome = Outcome::default();
    for path in files::all(folder)? {
        let region = match files::read(&path) {
            Ok(region) => region,
            Err(failure) => {
                outcome.failed(&path.display().to_string(), &failure)?;
                continue;
            }
        };
        let api = match api(&settings, &region) {
            Ok(api) => api,
            Err(failure) => {
                outcome.failed(&path.display().to_string(), &failure)?;
                continue;
            }
        };
        for kind in render::apps(&region) {
            outcome.look(&api, &path, &region, kind).await?;
        }
    }
    Ok(outcome.code())
}

pub(super) async fn apply(
    environment: &Environment,
    path: &Path,
    region: &RegionFile,
    kinds: Vec<AppKind>,
    order: Order,
) -> Result<ExitCode, Failure> {
    let settings = MarketplaceSettings::from_environment(environment)?;
    let api = api(&settings, region)?;
    // Nothing is put before all of it may be put.
    let mut plans = Vec::new();
    for kind in kinds {
        let (app_id, manifest) = wanted(region, kind)?;
        let found: Vec<_> = lint(&manifest)
            .into_iter()
            .map(|finding| (format!("{}, {kind} app", path.display()), finding))
            .collect();
        if !found.is_empty() {
            return Err(format!(
                "nothing was changed; first mend what lint finds:\n{}",
                lines(&found)?
            )
            .into());
        }
        let plan = apply::plan(&api, app_id, &manifest)
            .await
            .map_err(|error| told(&place(path, kind, app_id), &error))?;
        stdout().write_all(describe(&place(path, kind, app_id), &plan)?.as_bytes())?;
        plans.push((kind, app_id, plan));
    }
    for (kind, app_id, plan) in &plans {
        plan.may_apply(order.may_blank_secrets)
            .map_err(|error| told(&place(path, *kind, app_id), &error))?;
    }
    if plans.iter().all(|(_, _, plan)| plan.changes.is_empty()) {
        return Ok(ExitCode::SUCCESS);
    }
    if order.asks && !confirmed()? {
        return Err("nothing was changed".into());
    }
    for (kind, app_id, plan) in plans {
        apply::apply(&api, app_id, &plan, order.may_blank_secrets)
            .await
            .map_err(|error| told(&place(path, kind, app_id), &error))?;
        if !plan.changes.is_empty() {
            writeln!(
                stdout(),
                "{}: applied, read back and compared.",
                place(path, kind, app_id)
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn told(place: &str, error: &ApplyError) -> Failure {
    let mut text = format!("{place}: {}", chain(error));
    // Each difference on a line of its own: paths alone would not tell what is there now.
    if let ApplyError::NotKept(changes) | ApplyError::ChangedMeanwhile(changes) = error {
        for change in changes {
            let _ = write!(text, "\n  {change}");
        }
    }
    text.into()
}

fn confirmed() -> Result<bool, Failure> {
    if !stdin().is_terminal() {
        return Err("nothing was changed: there is nobody to ask; say --yes".into());
    }
    write!(stderr(), "Replace the manifests as shown? Type yes: ")?;
    stderr().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

/// What was found at all apps.
#[derive(Default)]
struct Outcome {
    differs: bool,
    fails: bool,
}

impl Outcome {
    /// Plans one app and tells it, whatever comes of it.
    async fn look(
        &mut self,
        api: &ManifestApi,
        path: &Path,
        region: &RegionFile,
        kind: AppKind,
    ) -> Result<(), Failure> {
        let (app_id, manifest) = match wanted(region, kind) {
            Ok(wanted) => wanted,
            Err(failure) => return self.failed(&path.display().to_string(), &failure),
        };
        let place = place(path, kind, app_id);
        match apply::plan(api, app_id, &manifest).await {
            Ok(plan) => {
                self.differs |= !plan.changes.is_empty();
                Ok(stdout().write_all(describe(&place, &plan)?.as_bytes())?)
            }
            Err(error) => self.failed(&place, &error.into()),
        }
    }

    fn failed(&mut self, place: &str, failure: &Failure) -> Result<(), Failure> {
        self.fails = true;
        Ok(writeln!(stderr(), "{place}: {}", chain(failure.as_ref()))?)
    }

    /// What could not be looked at outweighs what differs.
    fn code(&self) -> ExitCode {
        match (self.fails, self.differs) {
            (true, _) => ExitCode::FAILURE,
            (false, true) => ExitCode::from(DIFFERENT),
            (false, false) => ExitCode::SUCCESS,
        }
    }
}

fn wanted(region: &RegionFile, kind: AppKind) -> Result<(&str, Manifest), Failure> {
    let manifest = render::render(region, kind)?;
    let app = kind.of(region).ok_or("the region has no such app")?;
    Ok((&app.app_id, manifest))
}

fn place(path: &Path, kind: AppKind, app_id: &str) -> String {
    format!("{}, {kind} app {app_id}", path.display())
}

fn describe(place: &str, plan: &Plan) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    match plan.changes.len() {
        0 => writeln!(text, "{place}: no difference")?,
        1 => writeln!(text, "{place}: 1 difference")?,
        number => writeln!(text, "{place}: {number} differences")?,
    }
    for change in &plan.changes {
        writeln!(text, "  {change}")?;
    }
    if plan.published {
        writeln!(
            text,
            "  The app is published: Zoom exports the manifests of drafts alone, so only name, description, links, usage and \
             scopes were compared."
        )?;
    }
    for kept in &plan.kept {
        writeln!(text, "  = {}: not in the template, kept", kept.path)?;
    }
    for path in &plan.hidden_secrets {
        writeln!(
            text,
            "  ! {path}: its secret is not exported, and a put may blank it"
        )?;
    }
    Ok(text)
}

/// The API as the region's file names it, behind a fence that lets nothing else through.
fn api(settings: &MarketplaceSettings, region: &RegionFile) -> Result<ManifestApi, Failure> {
    let hosts: ZoomHosts = region.zoom.hosts.join(",").parse()?;
    let base = hosts
        .validate_api_url(&region.zoom.api_url)
        .map_err(|error| format!("zoom.apiUrl: {error}"))?;
    let url = Url::parse(&region.zoom.api_url)?;
    let fence = Fence::builder()
        .setting("zoom.apiUrl", "Zoom's Marketplace API")
        .allow("zoom.apiUrl", HostRule::for_url(&url)?)
        .build();
    let egress = Egress::new(Arc::new(fence), Arc::new(SystemResolver))?;
    Ok(ManifestApi::new(
        egress.client("zoom_marketplace", CALL),
        Arc::new(hosts),
        Arc::new(SystemClock),
        base,
        settings.token.clone(),
    ))
}
