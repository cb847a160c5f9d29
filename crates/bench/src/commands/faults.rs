//! The fault run.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use super::lab::{Lab, LabArgs};
use crate::event::EventSource;
use crate::failure::{Failure, Outcome};
use crate::faults::{Driver, FaultKind, FaultLog, FaultRecord, Findings, Ledger, ZOOMS_TRIES, check};
use crate::load::{OpenLoop, Schedule, Tally};
use crate::machine::ServerKind;
use crate::table::{Table, median, thousands};
use crate::wall;

/// Zoom waits this long for an answer.
const ZOOMS_PATIENCE: Duration = Duration::from_secs(3);
/// How long after the last first try events are sent again that are not accepted yet.
const PURSUIT: Duration = Duration::from_secs(120);

/// The options of the fault run.
#[derive(Debug, Clone, Args)]
pub struct FaultsArgs {
    /// Send so many new events a second
    #[arg(long, default_value_t = 3000.0)]
    rate: f64,
    /// Send so long
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Which faults come when; the same seed makes the same plan. Default: the time
    #[arg(long)]
    seed: Option<u64>,
    /// The most requests in flight
    #[arg(long, default_value_t = 8192)]
    connections: usize,
    #[command(flatten)]
    lab: LabArgs,
}

/// Runs it, prints what happened, and fails where a promise was broken.
pub fn run(args: &FaultsArgs) -> Outcome {
    let seed = args.seed.unwrap_or_else(wall::unix_millis);
    let duration = Duration::try_from_secs_f64(args.minutes * 60.0)?;
    let mut lab = Lab::start(&args.lab, &[ServerKind::Service])?;
    lab.fresh()?;
    let open = OpenLoop {
        target: lab.server(ServerKind::Service)?.target()?,
        source: Arc::new(EventSource::new(args.lab.accounts, seed)),
        schedule: Schedule::new(args.rate, duration),
        first_event_millis: wall::unix_millis(),
        connections: args.connections,
        patience: ZOOMS_PATIENCE,
        pursuit: PURSUIT,
    };
    println!(
        "{} new events a second for {} minutes, seed {seed}; what is not accepted comes again after 5, 10 and 20 s",
        thousands(args.rate),
        args.minutes
    );
    let log = FaultLog::default();
    let mut ledger = Ledger::new(open.schedule.total(), log.clone());
    let (kept, peak_kb) = thread::scope(|scope| {
        let Lab { servers, postgres } = &mut lab;
        let (_, service) = servers
            .first_mut()
            .ok_or_else(|| Failure::new("the service was not started"))?;
        let mut driver = Driver {
            postgres,
            service,
            log: log.clone(),
        };
        let driving = scope.spawn(move || driver.run(seed, duration));
        let kept = open.run(&mut ledger)?;
        let peak_kb = driving
            .join()
            .map_err(|_| Failure::new("the maker of faults panicked"))??;
        Ok::<_, Failure>((kept, peak_kb))
    })?;
    eprintln!("reading the inbox");
    let stored = stored(&lab)?;
    let rows = stored.len();
    let findings = check(ledger.claims(&open, kept.sent), stored);

    print_faults(&log.records());
    let total = log.records().iter().fold(Tally::default(), |mut total, record| {
        total.merge(&record.tally);
        total
    });
    println!("all tries: {total}");
    println!(
        "events accepted at the first, second, ... try: {:?}",
        ledger.accepted_by_try()
    );
    println!(
        "accepted later than at Zoom's {ZOOMS_TRIES} tries (waits are compressed, faults are not): {}",
        ledger.beyond_zooms_tries()
    );
    println!(
        "longest without an answer: {:.2} s; most in flight: {}; left more than 5 ms late: {} (at most {:.0} ms)",
        ledger.slowest().as_secs_f64(),
        kept.most_in_flight,
        kept.late,
        kept.latest.as_secs_f64() * 1000.0
    );
    println!("peak RSS of the service: {:.1} MB", peak_kb as f64 / 1024.0);
    verdict(kept.sent, rows, &findings)
}

fn stored(lab: &Lab) -> Outcome<Vec<[u8; 32]>> {
    lab.postgres.with(Lab::database(), async |client| {
        let sql = "SELECT digest FROM inbox WHERE endpoint = 'events'";
        let rows = client.query(sql, &[]).await?;
        let digest = |row: &tokio_postgres::Row| {
            let bytes: &[u8] = row.try_get(0)?;
            Ok(<[u8; 32]>::try_from(bytes)?)
        };
        rows.iter().map(digest).collect()
    })
}

fn print_faults(records: &[FaultRecord]) {
    let mut table = Table::new(&[
        "from this fault to the next",
        "times",
        "recovered",
        "2xx",
        "5xx",
        "no answer",
        "other",
        "fault s (median)",
        "accepted again ms (median)",
        "(longest)",
        "last failure ms (longest)",
    ]);
    let kinds = std::iter::once(None).chain(FaultKind::ALL.into_iter().map(Some));
    for kind in kinds {
        let records: Vec<_> = records.iter().filter(|record| record.kind == kind).collect();
        if records.is_empty() {
            continue;
        }
        let sum = |count: fn(&Tally) -> u64| records.iter().map(|record| count(&record.tally)).sum::<u64>();
        let after_end = |at: fn(&FaultRecord) -> Option<Instant>| -> Vec<f64> {
            let millis = |record: &&FaultRecord| Some((at(record)? - record.end?).as_secs_f64() * 1000.0);
            records.iter().filter_map(millis).collect()
        };
        let lengths = records
            .iter()
            .filter_map(|record| Some((record.end? - record.begin).as_secs_f64()));
        let again = after_end(|record| record.accepted_again);
        let longest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        table.row([
            kind.map_or("(before the first)", FaultKind::as_str).to_owned(),
            records.len().to_string(),
            kind.map_or(String::new(), |_| again.len().to_string()),
            thousands(sum(Tally::accepted) as f64),
            thousands(sum(Tally::unavailable) as f64),
            thousands(sum(Tally::unanswered) as f64),
            sum(Tally::refused).to_string(),
            format!("{:.1}", median(lengths)),
            thousands(median(again.iter().copied())),
            thousands(longest(&again)),
            thousands(longest(&after_end(|record| record.last_failure))),
        ]);
    }
    println!("\n{}", table.render());
}

fn verdict(sent: u64, rows: usize, findings: &Findings) -> Outcome {
    println!(
        "{} events sent, {} rows, {} accepted and there exactly once",
        thousands(sent as f64),
        thousands(rows as f64),
        thousands(findings.kept as f64)
    );
    if findings.all_held() {
        println!(
            "Every event that was answered 2xx is in the inbox exactly once, nothing else is there, and every other answer was a 5xx or a broken connection, after which the event was accepted."
        );
        return Ok(());
    }
    let broken: Vec<_> = findings
        .broken
        .iter()
        .map(|(broken, count)| format!("{}: {count}", broken.as_str()))
        .collect();
    Err(Failure(format!("BROKEN PROMISES: {}", broken.join("; "))))
}
