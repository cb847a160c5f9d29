//! The load generator by itself, against any server that takes Zoom's webhooks.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use domicile_kernel::Secret;
use serde::Serialize;
use url::Url;

use crate::event::EventSource;
use crate::failure::{Failure, Outcome};
use crate::load::{
    Answered, ClosedLoop, Latencies, OpenLoop, Schedule, Sink, SinkVerdict, Summary, Tally, ceiling,
};
use crate::machine::raise_descriptor_limit;
use crate::request::Target;
use crate::table::{millis, thousands};
use crate::wall;

/// The variable that may hold the secret, which a command line shows to others.
const SECRET_VARIABLE: &str = "DOMICILE_BENCH_SECRET";
/// Zoom waits this long for an answer.
const ZOOMS_PATIENCE: Duration = Duration::from_secs(3);

/// The options of `loadgen`.
#[derive(Debug, Clone, Args)]
pub struct LoadgenArgs {
    /// Post to this URL, plain http
    #[arg(long, default_value = "http://127.0.0.1:8080/zoom/events")]
    url: Url,
    /// Sign under this secret token; better by the variable `DOMICILE_BENCH_SECRET`
    #[arg(long)]
    secret: Option<String>,
    /// Keep so many requests in flight; with --rate the most that may be
    #[arg(long)]
    connections: Option<usize>,
    /// Send so many events a second, whether or not they are answered (open loop); without it each connection sends when
    /// it has its answer (closed loop)
    #[arg(long)]
    rate: Option<f64>,
    /// Measure so long
    #[arg(long, default_value_t = 10.0)]
    duration_seconds: f64,
    /// Send so long before the measurement (closed loop)
    #[arg(long, default_value_t = 1.0)]
    warm_up_seconds: f64,
    /// Send events of so many Zoom accounts
    #[arg(long, default_value_t = 20)]
    accounts: usize,
    /// Let so many threads share the connections (closed loop)
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Measure the generator itself, against a server in this process that answers without looking
    #[arg(long)]
    ceiling: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    events_per_second: f64,
    latency: Summary,
    tally: Tally,
    /// First tries that left more than 5 ms late; the schedule was not kept if these are many.
    late: u64,
    latest_ms: f64,
}

/// Generates load and prints what came of it; fails where something was not accepted.
pub fn run(args: &LoadgenArgs) -> Outcome {
    raise_descriptor_limit();
    let secret = match (&args.secret, std::env::var_os(SECRET_VARIABLE)) {
        (Some(secret), _) => secret.clone(),
        (None, Some(secret)) => secret.to_string_lossy().into_owned(),
        (None, None) if args.ceiling => "unused".to_owned(),
        (None, None) => {
            let text = format!("give the secret token by --secret or {SECRET_VARIABLE}");
            return Err(Failure(text));
        }
    };
    let target = Target::new(&args.url, &Secret::from(secret.as_str()))?;
    let source = Arc::new(EventSource::new(args.accounts, wall::unix_millis()));
    let duration = Duration::try_from_secs_f64(args.duration_seconds)?;
    let report = match args.rate {
        Some(rate) if !args.ceiling => {
            let open = OpenLoop {
                target,
                source,
                schedule: Schedule::new(rate, duration),
                first_event_millis: wall::unix_millis(),
                connections: args.connections.unwrap_or(1024),
                patience: ZOOMS_PATIENCE,
                pursuit: ZOOMS_PATIENCE * 2,
            };
            at_a_rate(&open, duration)?
        }
        _ => {
            let closed = ClosedLoop {
                target,
                source,
                connections: args.connections.unwrap_or(64),
                threads: args.threads,
                warm_up: Duration::try_from_secs_f64(args.warm_up_seconds)?,
                duration,
                numbers: Arc::default(),
            };
            let outcome = if args.ceiling {
                ceiling(&closed)?
            } else {
                closed.run(|_| {})?
            };
            Report {
                events_per_second: outcome.events_per_second,
                latency: outcome.latency,
                tally: outcome.tally,
                late: 0,
                latest_ms: 0.0,
            }
        }
    };
    print(args, &report)?;
    if report.tally.failed() > 0 {
        return Err(Failure(format!(
            "{} events were not accepted",
            report.tally.failed()
        )));
    }
    Ok(())
}

fn print(args: &LoadgenArgs, report: &Report) -> Outcome {
    if args.json {
        println!("{}", serde_json::to_string_pretty(report)?);
        return Ok(());
    }
    println!(
        "{}/s accepted   p50 {} p99 {} p99.9 {} max {} ms",
        thousands(report.events_per_second),
        millis(report.latency.p50_ms),
        millis(report.latency.p99_ms),
        millis(report.latency.p999_ms),
        millis(report.latency.max_ms),
    );
    println!("answers: {}", report.tally);
    if args.rate.is_some() && !args.ceiling {
        println!(
            "left more than 5 ms late: {} (at most {} ms)",
            report.late,
            millis(report.latest_ms)
        );
    }
    Ok(())
}

/// Keeps latencies and statuses.
struct Keeper {
    latencies: Latencies,
    tally: Tally,
}

impl Sink for Keeper {
    fn answered(&mut self, answered: &Answered) -> SinkVerdict {
        self.tally.count(answered.result);
        self.latencies
            .record(answered.at.duration_since(answered.job.due));
        SinkVerdict::Done
    }
}

fn at_a_rate(open: &OpenLoop, duration: Duration) -> Outcome<Report> {
    let mut keeper = Keeper {
        latencies: Latencies::new()?,
        tally: Tally::default(),
    };
    let kept = open.run(&mut keeper)?;
    if kept.failed() {
        eprintln!("the schedule could not be kept: the rate was not offered as it was meant to be");
    }
    Ok(Report {
        events_per_second: keeper.tally.accepted() as f64 / duration.as_secs_f64(),
        latency: keeper.latencies.summary(),
        tally: keeper.tally,
        late: kept.late,
        latest_ms: kept.latest.as_secs_f64() * 1000.0,
    })
}
