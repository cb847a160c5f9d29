//! One account floods the bot while the app stalls: Zoom must be answered in time, and others must not wait.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use super::lab::{Lab, LabArgs};
use crate::bot::{Outside, Stall};
use crate::event::{EventSource, ROBOT_JID, Speakers};
use crate::failure::{Failure, Outcome};
use crate::load::{Answered, Kept, Latencies, OpenLoop, Schedule, Sink, SinkVerdict, Tally};
use crate::machine::{ServerKind, Worker};
use crate::table::{Table, millis, thousands};
use crate::wall;

/// Zoom waits this long for an answer.
const ZOOMS_PATIENCE: Duration = Duration::from_secs(3);
/// How long after the last command replies are waited for.
const REPLIES_PATIENCE: Duration = Duration::from_secs(20);
/// The accounts that share the region with the loud one.
const OTHERS: std::ops::Range<u64> = 0..20;
/// What the loud account's users are called; their commands go to the app.
const LOUD: &str = "loud";
/// What the region answers itself.
const OF_THE_REGION: &str = "region";
/// What the app answers.
const OF_THE_APP: &str = "orders";

/// Who speaks in a phase; the phase is part of their names, so that no channel is used twice.
fn speakers(phase: &str, with_loud: bool) -> Vec<Speakers> {
    let others = |command| Speakers {
        name: format!("asks-{command}-{phase}"),
        accounts: OTHERS,
        command,
    };
    let mut all = vec![others(OF_THE_REGION), others(OF_THE_APP)];
    if with_loud {
        all.push(Speakers {
            name: LOUD.to_owned(),
            accounts: 1000..1001,
            command: OF_THE_APP,
        });
    }
    all
}

/// The options of the bot's run.
#[derive(Debug, Clone, Args)]
pub struct BotArgs {
    /// The loud account says so many things a second
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// The others say so many things a second of each kind: what the region answers, and what the app answers
    #[arg(long, default_value_t = 10.0)]
    others_rate: f64,
    /// Each of the two phases, without and with the loud account, lasts so long
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// For whom the app stalls
    #[arg(long, value_enum, default_value = "loud")]
    stall: Stall,
    /// So many processes run `work`
    #[arg(long, default_value_t = 1)]
    workers: usize,
    #[command(flatten)]
    lab: LabArgs,
}

/// What became of the commands of some speakers.
struct Told {
    speakers: Speakers,
    kept: Kept,
    zoom: Latencies,
    tally: Tally,
    /// When each was due, by number.
    due: Vec<Option<Instant>>,
}

impl Sink for Told {
    fn answered(&mut self, answered: &Answered) -> SinkVerdict {
        self.zoom
            .record(answered.at.saturating_duration_since(answered.job.due));
        self.tally.count(answered.result);
        let place = usize::try_from(answered.job.number)
            .ok()
            .and_then(|number| self.due.get_mut(number));
        if let Some(place) = place {
            *place = Some(answered.job.due);
        }
        SinkVerdict::Done
    }
}

/// The replies to the commands of some speakers.
struct Replies {
    latencies: Latencies,
    missing: usize,
    twice: usize,
}

/// Measures both phases, prints them, and fails where a promise is broken.
pub fn run(args: &BotArgs) -> Outcome {
    let outside = Outside::start(args.stall, LOUD)?;
    let mut lab_args = args.lab.clone();
    let base = format!("http://{}", outside.address);
    lab_args.set.extend([
        format!("DOMICILE_ZOOM_OAUTH_URL={base}/"),
        format!("DOMICILE_ZOOM_API_URL={base}/"),
        format!("DOMICILE_APP_EVENTS_URL={base}/app/events"),
        "DOMICILE_APP_EVENTS_SECRETS=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        format!("DOMICILE_BOT_ROBOT_JID={ROBOT_JID}"),
    ]);
    let mut lab = Lab::start(&lab_args, &[ServerKind::Service])?;
    let workers: Vec<Worker> = (0..args.workers)
        .map(|_| lab.worker(&lab_args))
        .collect::<Outcome<_>>()?;
    lab.fresh()?;
    let mut table = Table::new(&[
        "who",
        "commands",
        "not accepted",
        "Zoom p50 ms",
        "p99 ms",
        "max ms",
        "replies",
        "missing",
        "twice",
        "reply p50 ms",
        "p99 ms",
        "max ms",
    ]);
    let mut broken = Vec::new();
    for (phase, with_loud) in [("alone", false), ("beside-loud", true)] {
        for told in speak(args, &mut lab, &speakers(phase, with_loud))? {
            let replies = replies(args, &told, &outside)?;
            broken.extend(broken_promises(&told, replies.as_ref()));
            table.row(cells(&told, replies.as_ref()));
            if told.kept.failed() {
                println!(
                    "{}: {} of {} left more than 5 ms late (at most {} ms), since the load shares the machine",
                    told.speakers.name,
                    told.kept.late,
                    told.kept.sent,
                    millis(told.kept.latest.as_secs_f64() * 1000.0)
                );
            }
        }
    }
    println!("{}", table.render());
    println!("what waits: {}", waiting(&lab)?);
    for worker in &workers {
        let usage = worker.usage();
        println!(
            "work: {:.1} CPU seconds, peak RSS {:.1} MB",
            usage.cpu_seconds,
            usage.peak_rss_kb as f64 / 1024.0
        );
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure(broken.join("\n")))
}

/// Lets all of them speak at once, each on a thread of its own.
fn speak(args: &BotArgs, lab: &mut Lab, speakers: &[Speakers]) -> Outcome<Vec<Told>> {
    let duration = Duration::try_from_secs_f64(args.seconds)?;
    let target = lab.server(ServerKind::Service)?.target_at("/zoom/bot")?;
    let seed = wall::unix_millis();
    let threads: Vec<_> = speakers
        .iter()
        .map(|speakers| {
            let is_loud = speakers.name == LOUD;
            let schedule = Schedule::new(if is_loud { args.rate } else { args.others_rate }, duration);
            let open = OpenLoop {
                target: target.clone(),
                source: Arc::new(EventSource::commands(speakers, seed)),
                schedule,
                first_event_millis: wall::unix_millis(),
                connections: 1024,
                patience: ZOOMS_PATIENCE,
                pursuit: ZOOMS_PATIENCE * 2,
            };
            let mut told = Told {
                speakers: speakers.clone(),
                kept: Kept::default(),
                zoom: Latencies::new()?,
                tally: Tally::default(),
                due: vec![None; usize::try_from(schedule.total())?],
            };
            Ok(thread::spawn(move || -> Outcome<Told> {
                told.kept = open.run(&mut told)?;
                Ok(told)
            }))
        })
        .collect::<Outcome<_>>()?;
    threads
        .into_iter()
        .map(|thread| {
            thread
                .join()
                .map_err(|_| Failure::new("a thread of the load generator panicked"))?
        })
        .collect()
}

/// The replies to them; none are expected for those for whom the app stalls.
fn replies(args: &BotArgs, told: &Told, outside: &Outside) -> Outcome<Option<Replies>> {
    let asks_the_app = told.speakers.command == OF_THE_APP;
    if told.speakers.name == LOUD || (asks_the_app && args.stall == Stall::All) {
        return Ok(None);
    }
    let channel = |number: usize| told.speakers.channel(number as u64);
    let begin = Instant::now();
    let mut number = 0;
    while number < told.due.len() && begin.elapsed() < REPLIES_PATIENCE {
        if outside.messages(&channel(number)).is_empty() {
            wall::pause(Duration::from_millis(50));
        } else {
            number += 1;
        }
    }
    let mut replies = Replies {
        latencies: Latencies::new()?,
        missing: 0,
        twice: 0,
    };
    for (number, due) in told.due.iter().enumerate() {
        let times = outside.messages(&channel(number));
        match (times.as_slice(), due) {
            ([first, more @ ..], Some(due)) => {
                replies.latencies.record(first.saturating_duration_since(*due));
                replies.twice += usize::from(!more.is_empty());
            }
            _ => replies.missing += 1,
        }
    }
    Ok(Some(replies))
}

fn broken_promises(told: &Told, replies: Option<&Replies>) -> Vec<String> {
    let who = &told.speakers.name;
    let mut broken = Vec::new();
    if told.kept.latest > ZOOMS_PATIENCE {
        broken.push(format!("{who}: the rate was not offered as it was meant to be"));
    }
    if told.tally.failed() > 0 || told.kept.unfinished > 0 {
        broken.push(format!("{who}: Zoom was not answered in time: {}", told.tally));
    }
    if let Some(Replies { missing, twice, .. }) = replies
        && missing + twice > 0
    {
        broken.push(format!("{who}: {missing} have no reply, {twice} have two"));
    }
    broken
}

fn cells(told: &Told, replies: Option<&Replies>) -> Vec<String> {
    let zoom = told.zoom.summary();
    let mut cells = vec![
        told.speakers.name.clone(),
        thousands(told.due.len() as f64),
        told.tally.failed().to_string(),
        millis(zoom.p50_ms),
        millis(zoom.p99_ms),
        millis(zoom.max_ms),
    ];
    match replies {
        None => cells.extend(std::iter::repeat_n("-".to_owned(), 6)),
        Some(replies) => {
            let summary = replies.latencies.summary();
            cells.extend([
                summary.count.to_string(),
                replies.missing.to_string(),
                replies.twice.to_string(),
                millis(summary.p50_ms),
                millis(summary.p99_ms),
                millis(summary.max_ms),
            ]);
        }
    }
    cells
}

/// What the loud account has left behind.
fn waiting(lab: &Lab) -> Outcome<String> {
    const JOBS: &str = "SELECT kind, count(*) FROM jobs GROUP BY kind ORDER BY kind";
    lab.postgres.with(Lab::database(), async |client| {
        let rows = client.query(JOBS, &[]).await?;
        let mut told = Vec::new();
        for row in rows {
            let (kind, count): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
            told.push(format!("{kind} {}", thousands(count as f64)));
        }
        Ok(told.join(", "))
    })
}
