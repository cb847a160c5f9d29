//! `cargo xtask demo`: the whole story without a browser, in a throw-away folder, with a proof of each step.

mod browser;
mod html;
pub(crate) mod report;
pub(crate) mod story;

use std::path::Path;

use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use crate::dev::ports;
use crate::dev::secrets::Secrets;
use crate::dev::service::folder;
use crate::dev::stack::{self, Identity, Places, Region, Stack, ZoomPlan};
use crate::dev::zoom::Zoom;
use crate::run::{Failure, Outcome, note};
use report::Report;
use story::Story;

/// The options of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Size of the video, in MiB
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=4096))]
    video_mib: u64,
    /// Use the programs that are built already, such as those of `cargo xtask test`
    #[arg(long)]
    no_build: bool,
}

/// Plays the story; the folder is removed when it went well.
pub(crate) fn run(args: &Args) -> Outcome {
    if !args.no_build {
        note("building");
        stack::build()?;
    }
    let home = tempfile::Builder::new().prefix("domicile-demo-").tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(play(&home, args));
    if outcome.is_err() {
        let kept = home.keep();
        eprintln!("\nThe logs are in {}", kept.join("logs").display());
    }
    outcome
}

async fn play(home: &TempDir, args: &Args) -> Outcome {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut stack = Stack::new(Places::new(home.path().join("logs"))?);
    let outcome = tokio::select! {
        told = tell(&mut stack, home.path(), args) => told,
        _ = interrupt.recv() => Err(Failure("interrupted".to_owned())),
        _ = terminate.recv() => Err(Failure("told to stop".to_owned())),
    };
    if outcome.is_err() {
        eprintln!("\n{}", stack.tails());
    }
    let stopped = stack.stop(|_| {}).await;
    outcome.and(stopped)
}

async fn tell(stack: &mut Stack, home: &Path, args: &Args) -> Outcome {
    let mut report = Report::new();
    let ports = ports::ephemeral(6)?;
    let [zoom_port, media_port, public, app, ops, demo] = ports[..] else {
        return Err(Failure("no free ports".to_owned()));
    };
    let folder = folder(home.join("eu"))?;
    let secrets = Secrets::open(&folder.join("secrets.json"))?;
    let region = Region {
        id: "eu",
        name: "European Union",
        identity: Identity::Confirm,
        directory: None,
        public,
        app,
        ops,
        demo,
        folder,
        secrets,
    };

    report.step("Start a simulated Zoom, a database, a demo app and the region");
    report.progress("zoomsim");
    let plan = ZoomPlan {
        port: zoom_port,
        media_port,
        state_file: None,
    };
    let zoom = Zoom::new(stack.http.clone(), stack.start_zoom(&plan).await?);
    report.proof("simulated Zoom", &zoom.base);
    report.progress("PostgreSQL");
    let database_url = stack.start_database(&region, true).await?;
    report.progress("demo app");
    stack.start_demo_app(&region, &zoom.base).await?;
    report.proof("demo app", region.demo_url("/"));
    report.progress("migrations, region");
    stack.start_region(&region, database_url, &zoom.base).await?;
    report.proof("region eu", region.public_url());
    zoom.ensure_people(&region).await?;
    zoom.ensure_app(&region, region.public..region.public).await?;
    report.proof("webhook endpoint", "challenged by Zoom and saved");

    let mut story = Story::new(report, stack.http.clone(), zoom, region)?;
    story.play(args.video_mib * 1024 * 1024).await
}
