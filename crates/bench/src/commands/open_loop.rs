//! One server at a fixed rate, minute by minute, so that one sees whether latency and memory stay flat.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio_postgres::Client;

use super::lab::{Lab, LabArgs};
use crate::event::EventSource;
use crate::failure::{Failure, Outcome};
use crate::load::{Answered, Latencies, OpenLoop, Schedule, Sink, SinkVerdict, Tally};
use crate::machine::{Server, ServerKind, Usage};
use crate::table::{Table, millis, thousands};
use crate::wall;

/// Zoom waits this long for an answer.
const ZOOMS_PATIENCE: Duration = Duration::from_secs(3);
/// Sent before the measurement, so that connections and account keys are there.
const WARM_UP: Duration = Duration::from_secs(2);
/// Rows of the prefill that share a statement.
const PREFILL_BATCH: u64 = 500_000;

/// The columns of a row that has been dispatched, and what stands in them: event `i` of `$2`, spread over the seven days
/// before `now()`. Change it with the migrations of `inbox`.
const PREFILL: &str = "
    INSERT INTO inbox (
        id, endpoint, digest, status, event_type, zoom_account_id, zoom_user_id, zoom_request_id,
        event_at, received_at, body_sealed, body_size_bytes, attempts, due_at, finished_at
    )
    SELECT
        (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
            || '7' || substr(hash, 1, 3) || 'a' || substr(hash, 4, 15))::uuid,
        'events', decode(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0'), 'hex')
            || substring(sha256(i::text::bytea) FROM 1 FOR 26), 'dispatched', 'recording.completed',
        'prefill-' || i % 1000, 'user-' || i % 100000, 'prefill-' || i,
        at, at, '\\x00'::bytea, 2500, 0, at, at
    FROM (
        SELECT i, md5(i::text) AS hash, date_trunc('milliseconds', now()) - interval '7 days' * (1 - i::float8 / $3) AS at
        FROM generate_series($1::bigint, $2::bigint) AS i
    ) AS events";

/// The options of the open loop.
#[derive(Debug, Clone, Args)]
pub struct OpenLoopArgs {
    /// Send so many events a second
    #[arg(long, default_value_t = 2000.0)]
    rate: f64,
    /// Send so long
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Show a line for each so many seconds
    #[arg(long, default_value_t = 60.0)]
    every_seconds: f64,
    /// First fill the inbox with so many rows that were dispatched in the past seven days
    #[arg(long, default_value_t = 0)]
    prefill: u64,
    /// The most requests in flight
    #[arg(long, default_value_t = 1024)]
    connections: usize,
    /// Measure this server
    #[arg(long, value_enum, default_value = "service")]
    server: ServerKind,
    #[command(flatten)]
    lab: LabArgs,
}

/// Measures and prints.
pub fn run(args: &OpenLoopArgs) -> Outcome {
    let mut lab = Lab::start(&args.lab, &[args.server])?;
    lab.fresh()?;
    if args.prefill > 0 {
        lab.postgres.with(Lab::database(), async |client| {
            prefill(client, args.prefill).await
        })?;
    }
    let duration = Duration::try_from_secs_f64(args.minutes * 60.0)?;
    let target = lab.server(args.server)?.target()?;
    let open = |seed: u64, schedule: Schedule| OpenLoop {
        target: target.clone(),
        source: Arc::new(EventSource::new(args.lab.accounts, seed)),
        schedule,
        first_event_millis: wall::unix_millis(),
        connections: args.connections,
        patience: ZOOMS_PATIENCE,
        pursuit: ZOOMS_PATIENCE * 2,
    };
    let seed = wall::unix_millis();
    let warm_up = open(!seed, Schedule::new(args.rate, WARM_UP));
    warm_up.run(&mut Minutes::new(Duration::MAX, None)?)?;
    lab.server(args.server)?.reset_peak();
    let before = lab.rows(args.server)?;

    println!(
        "{} events a second for {} minutes, {} rows before, {} ms added to each fsync",
        thousands(args.rate),
        args.minutes,
        before.map_or("no".to_owned(), |rows| thousands(rows as f64)),
        args.lab.fsync_delay_ms
    );
    let every = Duration::try_from_secs_f64(args.every_seconds)?;
    let mut minutes = Minutes::new(every, Some((&lab, args.server)))?;
    let run = open(seed, Schedule::new(args.rate, duration));
    let kept = run.run(&mut minutes)?;
    minutes.end_of_interval();
    let (total, tally) = (minutes.total, minutes.tally);
    println!("{}", minutes.table.render());
    let summary = total.summary();
    println!(
        "whole run: p50 {} p99 {} p99.9 {} max {} ms; {tally}",
        millis(summary.p50_ms),
        millis(summary.p99_ms),
        millis(summary.p999_ms),
        millis(summary.max_ms),
    );
    println!(
        "left more than 5 ms late: {} of {} (at most {} ms); at most {} in flight",
        kept.late,
        kept.sent,
        millis(kept.latest.as_secs_f64() * 1000.0),
        kept.most_in_flight
    );
    if kept.failed() {
        println!("THE SCHEDULE COULD NOT BE KEPT: the rate was not offered as it was meant to be");
    }
    let after = lab.rows(args.server)?;
    if let (Some(before), Some(after)) = (before, after) {
        let stored = after.saturating_sub(before);
        println!("accepted {}, stored {stored}", tally.accepted());
        if stored < tally.accepted() {
            return Err(Failure::new("fewer rows than accepted events"));
        }
    }
    Ok(())
}

/// Fills the inbox and leaves it as autovacuum and checkpoints would.
async fn prefill(client: &Client, rows: u64) -> Outcome {
    let start = Instant::now();
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut done = 0;
    while done < rows {
        let last = rows.min(done + PREFILL_BATCH);
        client
            .execute(PREFILL, &[&signed(done + 1), &signed(last), &(rows as f64)])
            .await?;
        done = last;
        eprintln!(
            "prefilled {} rows in {:.0} s",
            thousands(done as f64),
            start.elapsed().as_secs_f64()
        );
    }
    client.batch_execute("VACUUM (ANALYZE) inbox").await?;
    client.batch_execute("CHECKPOINT").await?;
    Ok(())
}

/// Latencies and memory by interval.
struct Minutes<'a> {
    every: Duration,
    place: Option<(&'a Lab, ServerKind)>,
    begin: Instant,
    number: u32,
    interval: (Latencies, Tally),
    total: Latencies,
    tally: Tally,
    cpu_seconds: f64,
    table: Table,
}

impl<'a> Minutes<'a> {
    fn new(every: Duration, place: Option<(&'a Lab, ServerKind)>) -> Outcome<Self> {
        Ok(Self {
            every,
            place,
            begin: Instant::now(),
            number: 0,
            interval: (Latencies::new()?, Tally::default()),
            total: Latencies::new()?,
            tally: Tally::default(),
            cpu_seconds: 0.0,
            table: Table::new(&[
                "until s",
                "events",
                "not accepted",
                "p50 ms",
                "p99 ms",
                "p99.9 ms",
                "max ms",
                "CPU %",
                "RSS MB",
                "peak RSS MB",
                "PostgreSQL MB",
            ]),
        })
    }

    fn usage(&self) -> Usage {
        let server = self.place.and_then(|(lab, kind)| {
            let mut servers = lab.servers.iter();
            servers.find_map(|(other, server)| (*other == kind).then_some(server))
        });
        server.map(Server::usage).unwrap_or_default()
    }

    fn end_of_interval(&mut self) {
        let Some((lab, _)) = self.place else { return };
        let Ok(empty) = Latencies::new() else { return };
        let (latencies, tally) = std::mem::replace(&mut self.interval, (empty, Tally::default()));
        if tally.total() == 0 {
            return;
        }
        self.number += 1;
        let usage = self.usage();
        let cpu = (usage.cpu_seconds - self.cpu_seconds) / self.every.as_secs_f64() * 100.0;
        self.cpu_seconds = usage.cpu_seconds;
        let summary = latencies.summary();
        let cells = [
            format!("{:.0}", (self.every * self.number).as_secs_f64()),
            thousands(tally.total() as f64),
            tally.failed().to_string(),
            millis(summary.p50_ms),
            millis(summary.p99_ms),
            millis(summary.p999_ms),
            millis(summary.max_ms),
            format!("{cpu:.0}"),
            format!("{:.1}", usage.rss_kb as f64 / 1024.0),
            format!("{:.1}", usage.peak_rss_kb as f64 / 1024.0),
            format!("{:.0}", lab.postgres.memory_kb() as f64 / 1024.0),
        ];
        eprintln!(
            "{:>5} s: {} events, {} not accepted, p50 {} p99 {} max {} ms, RSS {} MB",
            cells[0], cells[1], cells[2], cells[3], cells[4], cells[6], cells[8]
        );
        if tally.failed() > 0 {
            eprintln!("         {tally}");
        }
        self.table.row(cells);
    }
}

impl Sink for Minutes<'_> {
    fn begin(&mut self, start: Instant) {
        self.begin = start;
        self.cpu_seconds = self.usage().cpu_seconds;
    }

    fn answered(&mut self, answered: &Answered) -> SinkVerdict {
        // The last ones that were due in an interval may count for the next.
        if answered.job.due.duration_since(self.begin) >= self.every.saturating_mul(self.number + 1) {
            self.end_of_interval();
        }
        let latency = answered.at.duration_since(answered.job.due);
        self.interval.0.record(latency);
        self.interval.1.count(answered.result);
        self.total.record(latency);
        self.tally.count(answered.result);
        SinkVerdict::Done
    }
}
