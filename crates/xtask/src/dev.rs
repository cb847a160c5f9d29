//! `cargo xtask dev`: two regions, a simulated Zoom and two demo apps, until Ctrl-C.

pub(crate) mod http;
pub(crate) mod ports;
pub(crate) mod secrets;
pub(crate) mod service;
pub(crate) mod stack;
pub(crate) mod zoom;

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use url::Url;

use crate::run::{Failure, Outcome, note};
use crate::tree;
use ports::Ports;
use secrets::Secrets;
use service::folder;
use stack::{Identity, Places, Region, Stack, ZoomPlan, at};
use zoom::{Zoom, redirect_ports};

/// The options of `dev`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// The first port of each listener.
const ZOOM: u16 = 4400;
const MEDIA: u16 = 4420;

/// Id, name, how users are known, and the first port of the region's four listeners. One region for each way.
const REGIONS: [(&str, &str, Identity, u16); 2] = [
    ("eu", "European Union", Identity::Confirm, 8400),
    ("us", "United States", Identity::SessionJwt, 8500),
];

/// The listeners of a region, in the order of their ports.
const LISTENERS: [&str; 4] = ["public", "app", "ops", "demo"];

/// Runs until it is told to stop.
pub(crate) fn run(_: &Args) -> Outcome {
    let home = folder(tree::private().join("dev"))?;
    let _lock = lock(&home.join("lock"))?;
    stack::build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before anything is started, so that nothing is left behind by an early Ctrl-C.
        let mut stop = Stop::new()?;
        let mut stack = Stack::new(Places::new(home.join("logs"))?);
        let outcome = tokio::select! {
            started = start(&mut stack, home) => match started {
                Ok(table) => {
                    println!("{table}");
                    stop_or_all_ended(&mut stack, &mut stop).await
                }
                Err(failure) => Err(failure),
            },
            () = stop.asked() => Ok(()),
        };
        println!();
        let stopped = stack.stop(note).await;
        outcome.and(stopped)
    })
}

/// Starts everything and gives the table to print.
async fn start(stack: &mut Stack, home: PathBuf) -> Outcome<String> {
    let ports = ports::choose(&home.join("ports.json"), &wanted_ports())?;
    let zoom_port = ports["zoomsim"];
    note("starting zoomsim");
    let zoom_plan = ZoomPlan {
        port: zoom_port,
        media_port: ports["zoomsim downloads"],
        // Users' API addresses hold the port.
        state_file: Some(folder(home.join("zoomsim"))?.join(format!("state-{zoom_port}.json"))),
    };
    let zoom = Zoom::new(stack.http.clone(), stack.start_zoom(&zoom_plan).await?);
    let directory = home.join("directory.yaml");
    fs::write(
        &directory,
        directory_of(REGIONS.map(|(id, name, _, _)| (id, name, ports[&format!("{id} public")]))),
    )?;
    let mut regions = Vec::new();
    for (id, name, identity, first) in REGIONS {
        note(&format!("starting region {id}"));
        let mut region = region(id, name, identity, &ports, folder(home.join(id))?)?;
        region.directory = Some(directory.clone());
        let database_url = stack.start_database(&region, false).await?;
        stack.start_demo_app(&region, &zoom.base).await?;
        stack.start_region(&region, database_url, &zoom.base).await?;
        zoom.ensure_people(&region).await?;
        zoom.ensure_app(&region, redirect_ports(first)).await?;
        zoom.ensure_bot(&region).await?;
        regions.push(region);
    }
    Ok(table(&zoom.base, &regions, stack))
}

/// The public list of both regions, by id, name and public port, which leads whoever came to the wrong one to the other.
pub(crate) fn directory_of(regions: [(&str, &str, u16); 2]) -> String {
    let entries = regions.map(|(id, name, public)| {
        let install = at(public, "/install");
        format!("  - id: {id}\n    name: {name}\n    install_url: {install}\n    zoom_clusters: [{id}]\n")
    });
    format!("regions:\n{}", entries.concat())
}

fn wanted_ports() -> Vec<(String, u16)> {
    let mut wanted = vec![
        ("zoomsim".to_owned(), ZOOM),
        ("zoomsim downloads".to_owned(), MEDIA),
    ];
    for (id, _, _, first) in REGIONS {
        let firsts = (first..).step_by(usize::from(ports::SPAN));
        wanted.extend(
            LISTENERS
                .iter()
                .zip(firsts)
                .map(|(listener, port)| (format!("{id} {listener}"), port)),
        );
    }
    wanted
}

fn region(
    id: &'static str,
    name: &'static str,
    identity: Identity,
    ports: &Ports,
    folder: PathBuf,
) -> Outcome<Region> {
    let port = |listener: &str| ports[&format!("{id} {listener}")];
    Ok(Region {
        id,
        name,
        identity,
        directory: None,
        public: port("public"),
        app: port("app"),
        ops: port("ops"),
        demo: port("demo"),
        secrets: Secrets::open(&folder.join("secrets.json"))?,
        folder,
    })
}

/// What runs where, and what to do first.
fn table(zoom: &Url, regions: &[Region], stack: &Stack) -> String {
    let mut rows: Vec<(String, Url, &str)> = Vec::new();
    for region in regions {
        let row = |what: &str, url: Url, remark| (format!("{what}, {}", region.id), url, remark);
        rows.push(row(
            "demo app",
            region.demo_url("/"),
            "sign in, connect Zoom, see recordings and events",
        ));
        let reached = match region.identity {
            Identity::Confirm => {
                "what Zoom and browsers reach; knows users by confirm: the app confirms a ticket"
            }
            Identity::SessionJwt => "the same; knows users by session-jwt: it reads the app's session cookie",
        };
        rows.push(row("region", region.public_url(), reached));
        rows.push(row(
            "App API",
            region.app_url("/v1/"),
            "the demo app's backend uses it",
        ));
        rows.push(row(
            "operations",
            at(region.ops, "/metrics"),
            "/livez /readyz /metrics",
        ));
    }
    rows.push((
        "zoomsim".to_owned(),
        zoom.clone(),
        "the simulated Zoom: its desk makes recordings and faults",
    ));
    rows.push((
        "Team Chat".to_owned(),
        at_path(zoom, "/chat"),
        "there people talk with each region's bot and use its cards",
    ));
    let widest = |length: fn(&(String, Url, &str)) -> usize| rows.iter().map(length).max().unwrap_or(0);
    let (first, second) = (widest(|row| row.0.len()), widest(|row| row.1.as_str().len()));
    let lines = rows
        .iter()
        .map(|(what, url, remark)| format!("  {what:first$}  {:second$}  {remark}\n", url.as_str()));
    let lines: String = lines.collect();
    let demo = regions
        .first()
        .map(|region| region.demo_url("/").to_string())
        .unwrap_or_default();
    let chat = at_path(zoom, "/chat");
    let command = regions.first().map(Region::slash_command).unwrap_or_default();
    format!(
        "\nEverything is up.\n\n{lines}\n\
         What to click first\n\
         \x20 1. {demo}  Sign in as Alice, open Settings, press “Connect Zoom”.\n\
         \x20 2. At the simulated Zoom choose Alice Archer and press “Allow”: you come back connected.\n\
         \x20 3. {zoom}  Make a recording for Alice Archer and finish it.\n\
         \x20 4. Back in the demo app it appears under Recordings, and the event under Events.\n\
         \x20 A Zoom user of the other region is refused: try Alicia Archer.\n\
         \x20 5. {chat}  As Alice Archer write “help” to the bot, or “/{command} help” in Portfolio review.\n\
         \nLogs are in {}. Data is kept for the next start. Ctrl-C stops everything.\n",
        stack.logs().display()
    )
}

/// Another path of the same place.
fn at_path(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url
}

/// Waits for a signal; tells of each program that ends before.
async fn stop_or_all_ended(stack: &mut Stack, stop: &mut Stop) -> Outcome {
    let mut ticks = interval(Duration::from_millis(250));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.asked() => return Ok(()),
            _ = ticks.tick() => {}
        }
        for (service, status) in stack.take_ended()? {
            note(&format!(
                "{} ended by itself: {status}\n{}",
                service.name,
                service.tail()
            ));
            service.stop().await?;
        }
        if stack.is_empty() {
            return Err(Failure("every program has ended".to_owned()));
        }
    }
}

/// Ctrl-C, SIGTERM, or the end of the terminal.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    fn new() -> Outcome<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Keeps a second `cargo xtask dev` off the same data.
fn lock(path: &std::path::Path) -> Outcome<File> {
    let file = File::options().create(true).append(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure(
            "`cargo xtask dev` is running already; stop it with Ctrl-C there".to_owned(),
        )),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_of_ports_do_not_touch() {
        let mut firsts: Vec<u16> = wanted_ports().into_iter().map(|(_, port)| port).collect();
        firsts.sort_unstable();
        assert_eq!(firsts.len(), 10);
        assert!(
            firsts.windows(2).all(|pair| pair[1] - pair[0] >= ports::SPAN),
            "{firsts:?}"
        );
    }
}
