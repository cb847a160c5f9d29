//! `cargo xtask test --netns`: two regions in two network namespaces play the whole story at once, and a capture between
//! them proves that not one packet went from one to the other.

mod capture;
mod forward;
mod network;
mod packet;
mod plant;
mod site;
mod space;
mod verdict;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use domicile_localpg::binaries::program_exists;
use nix::unistd::Uid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

use crate::dev;
use crate::dev::stack;
use crate::run::{Failure, Outcome, note};
use capture::{Capture, Table};
use network::{EU, Side, US, ZOOM};
use packet::{Flow, TCP};
use site::{Place, REGIONS, Site};
use space::Space;
use verdict::Verdict;

/// How long everything may take, but for the stopping.
const LIMIT: Duration = Duration::from_mins(5);

/// How long a packet may take from its sending until the capture has read it.
const CAPTURE_PATIENCE: Duration = Duration::from_secs(10);

/// What a request to a foreign host is answered with: the other region is there, and does not want us.
const MISDIRECTED: &str = "HTTP/1.1 421 ";

/// Runs the proof, or says in one line why this machine cannot.
pub(crate) fn run(no_build: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if let Some(reason) = runtime.block_on(missing()) {
        note(&format!(
            "two regions in two network namespaces: skipped, {reason}"
        ));
        return Ok(());
    }
    if !no_build {
        stack::build()?;
    }
    let home = tempfile::Builder::new().prefix("domicile-netns-").tempdir()?;
    runtime.block_on(stage(home.path()))
}

/// What the machine lacks.
async fn missing() -> Option<String> {
    if !Uid::effective().is_root() {
        return Some("since only root may make network namespaces".to_owned());
    }
    if !program_exists("ip") {
        return Some("since there is no `ip` (the package iproute2)".to_owned());
    }
    let space = match Space::new("probe") {
        Ok(space) => space,
        Err(failure) => return Some(format!("since no network namespace can be made: {failure}")),
    };
    let failure = network::probe(&space).await.err()?;
    Some(format!("since no network namespaces can be joined: {failure}"))
}

/// The namespaces: a router between two regions and the simulated Zoom.
struct Stage {
    router: Space,
    eu: Place,
    us: Place,
    zoom: Place,
}

/// The captures: between the regions, and in each.
struct Captures {
    router: Capture,
    eu: Capture,
    us: Capture,
}

/// Sets everything up, plays, and takes everything down again, whatever came of it.
async fn stage(home: &Path) -> Outcome {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let place = |side: Side| Place::new(side, &home.join(side.name));
    let stage = Stage {
        router: Space::new("router")?,
        eu: place(EU)?,
        us: place(US)?,
        zoom: place(ZOOM)?,
    };
    let outcome = tokio::select! {
        played = play(&stage, home) => played,
        _ = interrupt.recv() => Err(Failure("interrupted".to_owned())),
        _ = terminate.recv() => Err(Failure("told to stop".to_owned())),
        () = after(LIMIT) => Err(Failure(format!("{} s were not enough", LIMIT.as_secs()))),
    };
    let mut stopped = Ok(());
    for place in [&stage.eu, &stage.us, &stage.zoom] {
        stopped = stopped.and(place.take_down(outcome.is_err()).await);
    }
    outcome.and(stopped)
}

async fn after(limit: Duration) {
    let never = std::future::pending::<()>();
    let _ = tokio::time::timeout(limit, never).await;
}

async fn play(stage: &Stage, home: &Path) -> Outcome {
    println!(
        "Joining the namespaces eu, us and zoom by a router, and capturing in the router, in eu and in us"
    );
    let Stage { router, eu, us, zoom } = stage;
    network::join(router, [eu, us, zoom].map(|place| (place.side, &place.space))).await?;
    let captures = Captures {
        router: Capture::start(router).await?,
        eu: Capture::start(&eu.space).await?,
        us: Capture::start(&us.space).await?,
    };

    println!("Starting the simulated Zoom in zoom; PostgreSQL, the demo app and the region in eu and in us");
    zoom.start_zoom().await?;
    let directory = home.join("directory.yaml");
    std::fs::write(
        &directory,
        dev::directory_of(REGIONS.map(|it| (it.side.name, it.name, it.public))),
    )?;
    let [of_eu, of_us] = REGIONS;
    let (in_eu, in_us) = tokio::try_join!(
        eu.start_region(of_eu, &directory),
        us.start_region(of_us, &directory)
    )?;
    tokio::try_join!(eu.prove_inside(Some(&in_eu)), us.prove_inside(Some(&in_us)))?;
    zoom.prove_inside(None).await?;

    println!("\nControl: each region's namespace calls the other region's public listener");
    let mut controls = control_both(stage, &captures).await?;

    println!("\nThe whole story, in both regions at once");
    let (eu_told, us_told) = tokio::try_join!(
        eu.play(in_eu, of_us.public_address()),
        us.play(in_us, of_eu.public_address())
    )?;

    println!("\nControl: the captures still see what crosses");
    controls.extend(control_both(stage, &captures).await?);

    let (in_eu, in_us) = tokio::try_join!(
        eu.read_records(eu_told, of_us.public_address()),
        us.read_records(us_told, of_eu.public_address())
    )?;
    for site in [&in_eu, &in_us] {
        tell_records(site);
    }
    let tables = (
        captures.router.finish()?,
        captures.eu.finish()?,
        captures.us.finish()?,
    );
    conclude(&tables, &controls, [&in_eu, &in_us])
}

/// Both ways; gives the flows, which are the only ones that may cross.
async fn control_both(stage: &Stage, captures: &Captures) -> Outcome<Vec<Flow>> {
    let [of_eu, of_us] = REGIONS;
    let mut controls = Vec::new();
    for (from, to) in [(&stage.eu, of_us), (&stage.us, of_eu)] {
        let flow = from.space.run(control(to.public_address())).await?;
        for (name, capture) in [
            ("router", &captures.router),
            ("eu", &captures.eu),
            ("us", &captures.us),
        ] {
            for direction in [flow, flow.back()] {
                if !capture.sees(&direction, CAPTURE_PATIENCE) {
                    return Err(Failure(format!("the capture in {name} does not see {direction}")));
                }
            }
        }
        println!("      {flow}: answered with 421, seen by the three captures");
        controls.push(flow);
    }
    Ok(controls)
}

/// Calls the other region as no region ever does: nothing but the fence keeps a region from it.
async fn control(to: SocketAddr) -> Outcome<Flow> {
    let mut stream = TcpStream::connect(to).await?;
    let flow = Flow {
        from: stream.local_addr()?,
        to,
        protocol: TCP,
    };
    let request = format!("GET / HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if answer.starts_with(MISDIRECTED) {
        return Ok(flow);
    }
    let line = answer.lines().next().unwrap_or_default();
    Err(Failure(format!(
        "{to} answers the control with {line:?}, not with 421"
    )))
}

/// Says what a region has written down about whom it talked to.
fn tell_records(site: &Site) {
    let Some(records) = &site.records else { return };
    println!(
        "\n{}, as its own database says after SIGTERM",
        site.plan.side.name
    );
    println!("      refused  {} calls into the other region", records.refused);
    println!("      audited  {} entries egress.call", records.audited);
    for contact in &records.let_out {
        println!("      let out  {contact}");
    }
}

/// Says what the captures say; anything that should not be there is a failure.
fn conclude(tables: &(Table, Table, Table), controls: &[Flow], sites: [&Site; 2]) -> Outcome {
    let (router, eu, us) = tables;
    let verdict = verdict::router(router, controls);
    println!("\nWhat the captures say");
    println!(
        "      router  {} packets; from one region to the other {}, of the controls {}",
        router.packets(),
        verdict.crossing,
        verdict.controls
    );
    let mut findings = found("router", &verdict);
    for (site, table) in sites.into_iter().zip([eu, us]) {
        let side = site.plan.side;
        let verdict = verdict::region(table, side, controls, &site.destinations);
        println!(
            "      {}      {} packets; with the other region {}, of the controls {}; every connection that was made:",
            side.name,
            table.packets(),
            verdict.crossing,
            verdict.controls
        );
        for (to, count) in &verdict.connections {
            let what = site.destinations.get(to).map_or("unknown", String::as_str);
            println!("      {count:>8} to {to:<16} {what}");
        }
        // A capture that saw less than the story needs has seen nothing.
        for (to, what) in &site.destinations {
            if !verdict.connections.contains_key(to) {
                findings.push(format!("{}: no connection to {to}, {what}, was seen", side.name));
            }
        }
        findings.extend(found(side.name, &verdict));
    }
    if !findings.is_empty() {
        return Err(Failure(format!(
            "the regions are not apart:\n{}",
            findings.join("\n")
        )));
    }
    println!("\nNot one packet went from one region to the other.");
    Ok(())
}

fn found(name: &str, verdict: &Verdict) -> Vec<String> {
    let mut findings: Vec<String> = verdict
        .findings
        .iter()
        .map(|finding| format!("{name}: {finding}"))
        .collect();
    if verdict.controls == 0 {
        findings.push(format!("{name}: the controls were not seen"));
    }
    findings
}
