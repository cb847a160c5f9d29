//! Service, baseline and ceiling side by side, in alternating runs.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::lab::{Lab, LabArgs};
use crate::event::EventSource;
use crate::failure::Outcome;
use crate::load::{ClosedLoop, ClosedOutcome, Edge, ceiling};
use crate::machine::{ServerKind, cpu_seconds_of_self};
use crate::table::{Table, median, millis, thousands};
use crate::wall;

/// How long the generator's own ceiling is measured at each number of connections.
const OWN_CEILING: Duration = Duration::from_secs(3);

/// The options of the comparison.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// Measure each server so often at each number of connections; the median is shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Measure so long in each run
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// Send so long before each measurement
    #[arg(long, default_value_t = 2.0)]
    warm_up_seconds: f64,
    /// Keep so many requests in flight, each on a connection of its own
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    connections: Vec<usize>,
    /// Measure only these servers
    #[arg(long, value_delimiter = ',')]
    only: Vec<ServerKind>,
    /// Let so many threads of the generator share the connections
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Write every run and every median to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    lab: LabArgs,
}

/// What one run measured.
#[derive(Debug, Clone, Serialize)]
struct Sample {
    server: ServerKind,
    connections: usize,
    round: usize,
    outcome: ClosedOutcome,
    server_cpu_seconds_per_100k: f64,
    postgres_cpu_seconds_per_100k: f64,
    generator_cpu_seconds_per_100k: f64,
    server_peak_rss_mb: f64,
}

/// The medians of one server at one number of connections.
#[derive(Debug, Clone, Serialize)]
struct Median {
    server: ServerKind,
    connections: usize,
    events_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    server_cpu_seconds_per_100k: f64,
    postgres_cpu_seconds_per_100k: f64,
    generator_cpu_seconds_per_100k: f64,
    server_peak_rss_mb: f64,
    times_baseline: Option<f64>,
    part_of_ceiling: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Report {
    fsync_delay_ms: f64,
    generator_ceiling: Vec<(usize, f64)>,
    samples: Vec<Sample>,
    medians: Vec<Median>,
}

/// Measures and prints.
pub fn run(args: &CompareArgs) -> Outcome {
    let kinds = if args.only.is_empty() {
        ServerKind::ALL.to_vec()
    } else {
        args.only.clone()
    };
    let mut lab = Lab::start(&args.lab, &kinds)?;
    let source = Arc::new(EventSource::new(args.lab.accounts, wall::unix_millis()));
    let numbers = Arc::new(AtomicU64::new(0));
    println!(
        "bodies of {} bytes, {} accounts, PostgreSQL with fsync and synchronous_commit on, {} ms added to each fsync\n",
        source.body_length(),
        args.lab.accounts,
        args.lab.fsync_delay_ms
    );
    let mut closed = ClosedLoop {
        target: lab.server(kinds[0])?.target()?,
        source,
        connections: 1,
        threads: args.threads,
        warm_up: Duration::try_from_secs_f64(args.warm_up_seconds)?,
        duration: Duration::try_from_secs_f64(args.seconds)?,
        numbers,
    };
    let generator_ceiling = generator_ceiling(&closed, &args.connections)?;
    let mut samples = Vec::new();
    for round in 0..args.rounds {
        for connections in &args.connections {
            // Another one begins in each round, so that none always has the warmer machine.
            for turn in 0..kinds.len() {
                let kind = kinds[(turn + round) % kinds.len()];
                closed.connections = *connections;
                let sample = measure(&mut lab, &mut closed, kind, round)?;
                progress(&sample);
                samples.push(sample);
            }
        }
    }
    let medians = medians(&samples, &args.connections, &kinds);
    print_medians(&medians, &generator_ceiling);
    if let Some(path) = &args.json {
        let report = Report {
            fsync_delay_ms: args.lab.fsync_delay_ms,
            generator_ceiling,
            samples,
            medians,
        };
        fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}

fn generator_ceiling(closed: &ClosedLoop, connections: &[usize]) -> Outcome<Vec<(usize, f64)>> {
    let at = |connections: &usize| {
        let outcome = ceiling(&ClosedLoop {
            connections: *connections,
            warm_up: Duration::from_millis(500),
            duration: OWN_CEILING,
            ..closed.clone()
        })?;
        eprintln!(
            "the generator itself, {connections:>4} connections: {:>8}/s",
            thousands(outcome.events_per_second)
        );
        Ok((*connections, outcome.events_per_second))
    };
    connections.iter().map(at).collect()
}

fn measure(lab: &mut Lab, closed: &mut ClosedLoop, kind: ServerKind, round: usize) -> Outcome<Sample> {
    lab.fresh()?;
    closed.target = lab.server(kind)?.target()?;
    lab.server(kind)?.reset_peak();
    let mut looks = Vec::new();
    let outcome = closed.run(|edge: Edge| {
        let postgres = lab.postgres.cpu_seconds();
        let server = lab.server(kind).map(|server| server.usage()).unwrap_or_default();
        looks.push((edge, server, postgres, cpu_seconds_of_self()));
    })?;
    let per_100k = |seconds: f64| seconds * 100_000.0 / outcome.tally.accepted().max(1) as f64;
    let (server_cpu, postgres_cpu, own_cpu, peak) = match looks.as_slice() {
        [(_, server, postgres, own), (_, server_end, postgres_end, own_end)] => (
            server_end.since(server).cpu_seconds,
            postgres_end - postgres,
            own_end - own,
            server_end.peak_rss_kb,
        ),
        _ => (0.0, 0.0, 0.0, 0),
    };
    if let Some(status) = lab.server(kind)?.ended() {
        eprintln!("the {} ended during the run: {status}", kind.as_str());
    }
    Ok(Sample {
        server: kind,
        connections: closed.connections,
        round,
        server_cpu_seconds_per_100k: per_100k(server_cpu),
        postgres_cpu_seconds_per_100k: per_100k(postgres_cpu),
        generator_cpu_seconds_per_100k: per_100k(own_cpu),
        server_peak_rss_mb: peak as f64 / 1024.0,
        outcome,
    })
}

fn progress(sample: &Sample) {
    let failures = if sample.outcome.tally.failed() > 0 {
        format!("   NOT ACCEPTED: {}", sample.outcome.tally)
    } else {
        String::new()
    };
    eprintln!(
        "round {} {:<8} {:>4} connections: {:>8}/s   p50 {:>6} p99 {:>6} max {:>6} ms{failures}",
        sample.round + 1,
        sample.server.as_str(),
        sample.connections,
        thousands(sample.outcome.events_per_second),
        millis(sample.outcome.latency.p50_ms),
        millis(sample.outcome.latency.p99_ms),
        millis(sample.outcome.latency.max_ms),
    );
}

fn medians(samples: &[Sample], connections: &[usize], kinds: &[ServerKind]) -> Vec<Median> {
    let of = |kind: ServerKind, at: usize, value: &dyn Fn(&Sample) -> f64| {
        let samples = samples
            .iter()
            .filter(move |sample| sample.server == kind && sample.connections == at);
        median(samples.map(value))
    };
    let rate = |sample: &Sample| sample.outcome.events_per_second;
    let mut medians = Vec::new();
    for at in connections {
        for kind in kinds {
            let own = of(*kind, *at, &rate);
            let against = |other: ServerKind| {
                (*kind == ServerKind::Service && kinds.contains(&other)).then(|| own / of(other, *at, &rate))
            };
            medians.push(Median {
                server: *kind,
                connections: *at,
                events_per_second: own,
                p50_ms: of(*kind, *at, &|sample| sample.outcome.latency.p50_ms),
                p99_ms: of(*kind, *at, &|sample| sample.outcome.latency.p99_ms),
                server_cpu_seconds_per_100k: of(*kind, *at, &|sample| sample.server_cpu_seconds_per_100k),
                postgres_cpu_seconds_per_100k: of(*kind, *at, &|sample| sample.postgres_cpu_seconds_per_100k),
                generator_cpu_seconds_per_100k: of(*kind, *at, &|sample| {
                    sample.generator_cpu_seconds_per_100k
                }),
                server_peak_rss_mb: of(*kind, *at, &|sample| sample.server_peak_rss_mb),
                times_baseline: against(ServerKind::Baseline),
                part_of_ceiling: against(ServerKind::Ceiling),
            });
        }
    }
    medians
}

fn print_medians(medians: &[Median], generator: &[(usize, f64)]) {
    let mut table = Table::new(&[
        "server",
        "connections",
        "events/s",
        "p50 ms",
        "p99 ms",
        "CPU s/100k",
        "PostgreSQL CPU s/100k",
        "generator CPU s/100k",
        "peak RSS MB",
        "x baseline",
        "of ceiling",
    ]);
    for median in medians {
        table.row([
            median.server.as_str().to_owned(),
            median.connections.to_string(),
            thousands(median.events_per_second),
            millis(median.p50_ms),
            millis(median.p99_ms),
            format!("{:.2}", median.server_cpu_seconds_per_100k),
            format!("{:.2}", median.postgres_cpu_seconds_per_100k),
            format!("{:.2}", median.generator_cpu_seconds_per_100k),
            format!("{:.0}", median.server_peak_rss_mb),
            median
                .times_baseline
                .map_or(String::new(), |times| format!("{times:.2}")),
            median
                .part_of_ceiling
                .map_or(String::new(), |part| format!("{:.0} %", part * 100.0)),
        ]);
    }
    for (connections, rate) in generator {
        table.row([
            "generator itself".to_owned(),
            connections.to_string(),
            thousands(*rate),
        ]);
    }
    println!("{}", table.render());
}
