//! `domicile zoom-app`: the region's Marketplace apps as code.

mod files;
mod live;

use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use domicile_region::RegionFile;
use domicile_zoom::manifest::Manifest;
use domicile_zoom::manifest::lint::{Finding, lint};
use domicile_zoom::manifest::render::{self, AppKind};
use domicile_zoom::manifest::review;

use super::Failure;
use crate::settings::Environment;

/// Something differs, as `terraform plan -detailed-exitcode` says it.
const DIFFERENT: u8 = 2;

#[derive(Subcommand, Clone)]
pub(super) enum ZoomAppCommand {
    /// Print the manifest of a region's app, as Zoom's build flow takes it
    ///
    /// A region may have two apps: Zoom lets a bot into no user-managed app. Without --app both are printed, in one object
    /// by their names.
    Render {
        #[command(flatten)]
        region: OneRegion,
        #[command(flatten)]
        app: WhichApp,
        /// Write <region>.<app>.json into this folder instead
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
    /// Check manifests by the rules that Zoom's own validator lacks
    Lint {
        /// The region: its id, or the path of its file
        #[arg(required_unless_present = "manifest")]
        region: Option<String>,
        /// Where the regions' files are
        #[arg(long, value_name = "FOLDER", default_value = "regions")]
        regions: PathBuf,
        #[command(flatten)]
        app: WhichApp,
        /// Check this manifest instead, such as one downloaded from the build flow
        #[arg(long, value_name = "FILE", conflicts_with_all = ["region", "app"])]
        manifest: Option<PathBuf>,
    },
    /// Show what `apply` would change at the live apps of a region
    ///
    /// Needs `DOMICILE_MARKETPLACE_TOKEN` or `DOMICILE_MARKETPLACE_TOKEN_FILE`: an access token of the apps' developer
    /// account with the scope marketplace:read:app:admin. Ends with 0 if nothing differs, 2 if something does, 1 if it
    /// could not be found out. Of a published app only name, description, links, usage and scopes can be compared.
    Plan {
        #[command(flatten)]
        region: OneRegion,
        #[command(flatten)]
        app: WhichApp,
    },
    /// Bring the live apps of a region to what its file says
    ///
    /// Lints, validates, puts, reads back and compares. What the template does not name is kept. Zoom takes manifests of
    /// drafts alone: a published app is refused. Needs the token of `plan`, with the scope marketplace:write:app:admin too.
    Apply {
        #[command(flatten)]
        region: OneRegion,
        #[command(flatten)]
        app: WhichApp,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Go on where the app has secrets that the export hides and a put may blank; enter them anew afterwards
        #[arg(long)]
        may_blank_secrets: bool,
    },
    /// `plan` for every region of a folder, for CI
    ///
    /// One region's failure does not hide the others. Ends with 0 if nothing differs, 2 if something does, 1 if a region
    /// could not be looked at.
    Drift {
        /// Where the regions' files are
        #[arg(value_name = "FOLDER", default_value = "regions")]
        regions: PathBuf,
    },
    /// Write the documents that Zoom's review asks for: test plan, scopes, data flow, deletion, domains, events
    ReviewPack {
        #[command(flatten)]
        region: OneRegion,
        #[command(flatten)]
        app: WhichApp,
        /// The folder to write to; each app gets one of its own in it
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
}

#[derive(Args, Clone)]
pub(super) struct OneRegion {
    /// The region: its id, or the path of its file
    region: String,
    /// Where the regions' files are
    #[arg(long, value_name = "FOLDER", default_value = "regions")]
    regions: PathBuf,
}

impl OneRegion {
    fn read(&self) -> Result<(PathBuf, RegionFile), Failure> {
        let path = files::path_of(&self.region, &self.regions);
        let region = files::read(&path)?;
        Ok((path, region))
    }
}

#[derive(Args, Clone, Copy)]
pub(super) struct WhichApp {
    /// Only this one of the region's apps
    #[arg(long, value_enum)]
    app: Option<App>,
}

#[derive(ValueEnum, Clone, Copy)]
enum App {
    /// The app through which subjects are linked
    Linking,
    /// The Team Chat bot's
    Bot,
}

impl WhichApp {
    /// The one that was named, which `render` refuses where the region has none, else all that there are.
    fn of(self, region: &RegionFile) -> Vec<AppKind> {
        match self.app {
            Some(App::Linking) => vec![AppKind::Linking],
            Some(App::Bot) => vec![AppKind::Bot],
            None => render::apps(region).collect(),
        }
    }
}

pub(super) async fn run(environment: Environment, command: ZoomAppCommand) -> Result<ExitCode, Failure> {
    match command {
        ZoomAppCommand::Render { region, app, out } => rendered(&region, app, out.as_deref()),
        ZoomAppCommand::Lint {
            region,
            regions,
            app,
            manifest,
        } => match (region, manifest) {
            (Some(region), _) => lint_region(&OneRegion { region, regions }, app),
            (None, Some(manifest)) => lint_file(&manifest),
            (None, None) => Err("name a region, or a manifest".into()),
        },
        ZoomAppCommand::Plan { region, app } => {
            let (path, file) = region.read()?;
            live::plan(&environment, &path, &file, app.of(&file)).await
        }
        ZoomAppCommand::Apply {
            region,
            app,
            yes,
            may_blank_secrets,
        } => {
            let (path, file) = region.read()?;
            let order = live::Order {
                asks: !yes,
                may_blank_secrets,
            };
            live::apply(&environment, &path, &file, app.of(&file), order).await
        }
        ZoomAppCommand::Drift { regions } => live::drift(&environment, &regions).await,
        ZoomAppCommand::ReviewPack { region, app, out } => review_pack(&region, app, &out),
    }
}

fn rendered(region: &OneRegion, app: WhichApp, out: Option<&Path>) -> Result<ExitCode, Failure> {
    let (_, file) = region.read()?;
    let manifests = app
        .of(&file)
        .into_iter()
        .map(|kind| Ok((kind, render::render(&file, kind)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    match (out, manifests.as_slice()) {
        (Some(folder), manifests) => {
            for (kind, manifest) in manifests {
                let path = folder.join(format!("{}.{kind}.json", file.region.id));
                files::write(&path, &review::manifest_text(manifest))?;
                writeln!(stdout(), "{}", path.display())?;
            }
        }
        (None, [(_, manifest)]) => stdout().write_all(review::manifest_text(manifest).as_bytes())?,
        (None, manifests) => {
            let both: serde_json::Map<_, _> = manifests
                .iter()
                .map(|(kind, manifest)| (kind.to_string(), manifest.to_value()))
                .collect();
            writeln!(stdout(), "{:#}", serde_json::Value::Object(both))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn lint_region(region: &OneRegion, app: WhichApp) -> Result<ExitCode, Failure> {
    let (path, file) = region.read()?;
    let mut found = Vec::new();
    for kind in app.of(&file) {
        let manifest = render::render(&file, kind)?;
        found.extend(
            lint(&manifest)
                .into_iter()
                .map(|finding| (format!("{}, {kind} app", path.display()), finding)),
        );
    }
    told(&found)
}

fn lint_file(path: &Path) -> Result<ExitCode, Failure> {
    let manifest = Manifest::parse(&files::text(path)?)?;
    let name = path.display().to_string();
    let found: Vec<_> = lint(&manifest)
        .into_iter()
        .map(|finding| (name.clone(), finding))
        .collect();
    told(&found)
}

fn told(found: &[(String, Finding)]) -> Result<ExitCode, Failure> {
    if found.is_empty() {
        writeln!(stdout(), "No finding.")?;
        return Ok(ExitCode::SUCCESS);
    }
    stdout().write_all(lines(found)?.as_bytes())?;
    Ok(ExitCode::FAILURE)
}

fn lines(found: &[(String, Finding)]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for (place, finding) in found {
        writeln!(text, "{place}: {finding}")?;
    }
    Ok(text)
}

fn review_pack(region: &OneRegion, app: WhichApp, out: &Path) -> Result<ExitCode, Failure> {
    let (_, file) = region.read()?;
    for kind in app.of(&file) {
        for document in review::pack(&file, kind)? {
            let path = out.join(kind.as_str()).join(document.name);
            files::write(&path, &document.text)?;
            writeln!(stdout(), "{}", path.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
