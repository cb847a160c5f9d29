//! Keeping: the one place that writes new rows of the inbox.
//!
//! One task writes for all requests of its queue. It takes whatever has queued up while its last commit was under way, so batches
//! grow with the load and a lone request waits for nobody. While a commit waits for a slow disk, what has come since goes over another
//! connection, so that both share the disk's next turn. The more commits are under way, the more rows must wait for another one, so
//! few are enough.

mod lines;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domicile_kernel::Timestamp;
use domicile_store::inbox::{InboxLine, InboxOutcome, InboxRow, Sighting};
use domicile_store::{DbSettings, StoreError};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::endpoint::Endpoint;
use crate::error::IntakeError;
use crate::metrics::METRICS;
use crate::queue::{Next, Queue, Waiting};
use crate::reason::QuarantineReason;
use crate::settings::WriterSettings;
use lines::{Line, Lines, OPEN_TIMEOUT};

/// How long to wait before a connection that could not be opened is tried again.
const REOPEN_AFTER: Duration = Duration::from_millis(100);
/// How often dispatchers are woken at most.
const ANNOUNCE_INTERVAL: Duration = Duration::from_millis(5);
/// A commit of a quick disk is done by then, and who waits for it shares the next one, which costs less than another beside it.
const QUICK_COMMIT: Duration = Duration::from_millis(1);
/// So many times more rows must wait for each commit that is under way before another is begun beside it: few rows never wait for a
/// disk that is busy, and many do not become many small commits.
const GROWTH: usize = 4;
/// How often sightings are written down.
const SIGHT_INTERVAL: Duration = Duration::from_secs(5);

/// What became of a request that was to be kept. Either way its body is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is new.
    New,
    /// The same body was kept before at the same endpoint; nothing was changed.
    Duplicate,
}

impl Kept {
    /// The spelling in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "kept",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Commits rows. When [`InboxWriter::write`] returns, the row is on disk. Cheap to clone; the task ends with the last clone.
#[derive(Clone)]
pub(crate) struct InboxWriter {
    queue: Arc<Queue>,
    task: TaskTracker,
    _closer: Arc<Closer>,
}

struct Closer(Arc<Queue>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl InboxWriter {
    /// Starts the task in the runtime in which this is called. It opens its connection when there is something to write.
    pub(crate) fn start(db: DbSettings, settings: WriterSettings) -> Self {
        let queue = Arc::new(Queue::new(settings));
        let task = Task::new(db, settings, Arc::clone(&queue));
        let tracker = TaskTracker::new();
        tracker.spawn(task.run());
        Self {
            task: tracker,
            _closer: Arc::new(Closer(Arc::clone(&queue))),
            queue,
        }
    }

    /// Keeps one row. After an error, or when the future is dropped, it is not known whether the row was kept.
    pub(crate) async fn write(&self, row: InboxRow) -> Result<InboxOutcome, IntakeError> {
        let (reply, answer) = oneshot::channel();
        let queued_at = Instant::now();
        self.queue.push(Waiting {
            row,
            reply,
            queued_at,
        })?;
        // The task replies to everybody whom it takes; it is gone only when the runtime ends.
        answer.await.unwrap_or(Err(IntakeError::Away))
    }

    /// True while whatever came would be sent away.
    pub(crate) fn sends_away(&self) -> bool {
        self.queue.sends_away()
    }

    /// Writes what is queued, takes nothing more, and waits for the end of the task.
    pub(crate) async fn finish(&self, limit: Duration) {
        self.queue.close();
        self.task.close();
        if timeout(limit, self.task.wait()).await.is_err() {
            warn!("the inbox's writer did not end in time");
        }
    }

    /// Notes that Zoom had the endpoint prove itself; it is written down when the database is there.
    pub(crate) fn challenged(&self, endpoint: Endpoint, at: Timestamp) {
        self.queue.challenged(endpoint, at);
    }
}

/// Starts batches and hears of their ends; it waits for nothing else, so that no batch waits for another.
struct Task {
    settings: WriterSettings,
    queue: Arc<Queue>,
    lines: Lines,
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Batches that are under way.
    commits: usize,
    /// When the last batch was started.
    last_start: Option<Instant>,
    announcements: Announcements,
    /// When Zoom was heard of, as far as it is not yet written down.
    seen: Seen,
    sighted: Option<Instant>,
    sighting: bool,
}

/// What the task has waited for.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and a connection moves only when it changes hands"
)]
enum Step {
    Ended(Done),
    Next(Next),
}

/// When Zoom was heard of, by endpoint, kind and account.
type Seen = HashMap<(&'static str, &'static str, String), Timestamp>;

/// What is at an end, with its connection if that is still good.
enum Done {
    Batch(Option<InboxLine>, Written),
    /// What could not be written down is in the map.
    Sighted(Option<InboxLine>, Seen),
    /// Another connection, if there was one to be had.
    Opened(Option<InboxLine>),
}

/// What a batch leaves behind besides its answers.
#[derive(Default)]
struct Written {
    seen: Seen,
    /// Rows may be committed of which the dispatchers are to hear.
    for_handlers: bool,
    away: bool,
}

/// Whether dispatchers are to be woken.
#[derive(Default)]
struct Announcements {
    last: Option<Instant>,
    owed: bool,
}

impl Announcements {
    fn are_due(&self) -> bool {
        self.owed && self.last.is_none_or(|at| at.elapsed() >= ANNOUNCE_INTERVAL)
    }
}

impl Task {
    fn new(db: DbSettings, settings: WriterSettings, queue: Arc<Queue>) -> Self {
        Self {
            lines: Lines::new(db, settings.max_commits.max(1)),
            settings,
            queue,
            under_way: FuturesUnordered::new(),
            commits: 0,
            last_start: None,
            announcements: Announcements::default(),
            seen: Seen::new(),
            sighted: None,
            sighting: false,
        }
    }

    async fn run(mut self) {
        loop {
            let has_room = self.commits < self.settings.max_commits.max(1) && self.lines.has_one();
            let (earliest, least_rows) = self.beside();
            let pause = self.pause();
            let step = async {
                tokio::select! {
                    biased;
                    Some(done) = self.under_way.next() => Step::Ended(done),
                    next = next(&self.queue, earliest, least_rows), if has_room => Step::Next(next),
                }
            };
            let step = match pause {
                Some(pause) => timeout(pause, step).await.ok(),
                None => Some(step.await),
            };
            match step {
                None => {}
                Some(Step::Ended(done)) => self.ended(done).await,
                Some(Step::Next(Next::Batch(batch))) => self.start(batch),
                Some(Step::Next(Next::Challenges(challenges))) => {
                    for (endpoint, at) in challenges {
                        saw(
                            &mut self.seen,
                            (endpoint.as_str(), "challenge", String::new()),
                            at,
                        );
                    }
                    self.sighted = None;
                }
                Some(Step::Next(Next::Closed)) => break,
            }
            if self.announcements.are_due() {
                self.announce();
            }
            if self.sighted.is_none_or(|at| at.elapsed() >= SIGHT_INTERVAL) {
                self.sight();
            }
            if self.spare_line_at().is_some_and(|at| at <= Instant::now()) {
                let opening = self.lines.open().map(Done::Opened);
                self.under_way.push(opening.boxed());
            }
        }
        while let Some(done) = self.under_way.next().await {
            self.settle(done);
        }
        if self.announcements.owed {
            self.announce();
        }
        self.sight();
        while let Some(done) = self.under_way.next().await {
            self.settle(done);
        }
    }

    /// How long nothing is to be done unless something happens.
    fn pause(&self) -> Option<Duration> {
        let of_duty = if self.announcements.owed {
            Some(ANNOUNCE_INTERVAL)
        } else {
            (!self.seen.is_empty() && !self.sighting).then_some(SIGHT_INTERVAL)
        };
        let until_open = self
            .spare_line_at()
            .map(|at| at.saturating_duration_since(Instant::now()));
        of_duty.into_iter().chain(until_open).min()
    }

    /// When another connection is opened: once a commit is slow.
    fn spare_line_at(&self) -> Option<Instant> {
        let slow_at = self.last_start.filter(|_| self.commits > 0)? + QUICK_COMMIT;
        self.lines.opens_at(slow_at)
    }

    /// When the next batch may be started, and with how many rows at least.
    fn beside(&self) -> (Option<Instant>, usize) {
        match (self.last_start, u32::try_from(self.commits)) {
            (Some(last), Ok(commits @ 1..)) => (Some(last + QUICK_COMMIT), GROWTH.saturating_pow(commits)),
            _ => (None, 1),
        }
    }

    /// Writes a batch and answers everybody in it.
    fn start(&mut self, mut batch: Vec<Waiting>) {
        let Some(line) = self.lines.take() else {
            // There was one when the batch was asked for; if not, nobody may wait for ever.
            for waiting in batch {
                let _ = waiting.reply.send(Err(IntakeError::Away));
            }
            return;
        };
        METRICS.batch(
            batch.len(),
            batch.first().map(|oldest| oldest.queued_at.elapsed()),
        );
        METRICS.queued(self.queue.depth());
        // In one order everywhere, so that two writers with the same bodies never wait for each other; the index likes it too.
        batch.sort_unstable_by_key(|waiting| (waiting.row.endpoint, waiting.row.digest));
        self.commits += 1;
        self.last_start = Some(Instant::now());
        let pen = Pen {
            line,
            settings: self.settings,
            written: Written {
                for_handlers: batch.iter().any(|waiting| waiting.row.quarantined.is_none()),
                ..Written::default()
            },
        };
        self.under_way.push(pen.write(batch).boxed());
    }

    async fn ended(&mut self, done: Done) {
        if self.settle(done) {
            self.wait_for_database().await;
        }
    }

    /// True when the database is away.
    fn settle(&mut self, done: Done) -> bool {
        let (line, away) = match done {
            Done::Batch(line, written) => {
                self.commits = self.commits.saturating_sub(1);
                self.announcements.owed |= written.for_handlers;
                self.remember(written.seen);
                (line, written.away)
            }
            Done::Sighted(line, seen) => {
                self.sighting = false;
                self.remember(seen);
                (line, false)
            }
            Done::Opened(line) => {
                self.lines.opened(line);
                return false;
            }
        };
        self.lines.give_back(line);
        away
    }

    /// Nothing is queued until the database answers again.
    async fn wait_for_database(&mut self) {
        self.queue.set_away(true);
        METRICS.away(true);
        // What is under way may still be confirmed.
        while let Some(done) = self.under_way.next().await {
            self.settle(done);
        }
        self.lines.clear();
        let closing = self.queue.closing().clone();
        while !closing.is_cancelled() {
            let Some(mut line) = self.lines.take() else { break };
            let is_back = line.get().await.is_ok();
            self.lines.give_back(line.open);
            if is_back {
                info!("the database is back");
                break;
            }
            let _ = timeout(REOPEN_AFTER, closing.cancelled()).await;
        }
        METRICS.away(false);
        self.queue.set_away(false);
    }

    /// Wakes the dispatchers; where that fails, they poll.
    fn announce(&mut self) {
        // Without a connection that is free, the end of what is under way comes first.
        let Some(line) = self.lines.idle() else { return };
        line.announce();
        self.announcements.last = Some(Instant::now());
        self.announcements.owed = false;
    }

    fn remember(&mut self, seen: Seen) {
        for (what, at) in seen {
            saw(&mut self.seen, what, at);
        }
    }

    /// Writes down when Zoom was heard of; what cannot be written stays for the next time.
    fn sight(&mut self) {
        if self.sighting || self.seen.is_empty() {
            return;
        }
        let Some(mut line) = self.lines.take() else { return };
        self.sighted = Some(Instant::now());
        self.sighting = true;
        let seen = std::mem::take(&mut self.seen);
        let sighting = async move {
            let mut sightings: Vec<_> = seen
                .iter()
                .map(|((endpoint, kind, account), at)| Sighting {
                    endpoint,
                    kind,
                    zoom_account_id: account.clone(),
                    at: *at,
                })
                .collect();
            // In one order everywhere, so that two writers never wait for each other.
            sightings.sort_unstable_by(|a, b| {
                (a.endpoint, a.kind, &a.zoom_account_id).cmp(&(b.endpoint, b.kind, &b.zoom_account_id))
            });
            let Ok(open) = line.get().await else {
                return Done::Sighted(None, seen);
            };
            match timeout(OPEN_TIMEOUT, open.sight(&sightings)).await {
                Ok(Ok(())) => return Done::Sighted(line.open, Seen::new()),
                Ok(Err(error)) => warn!(%error, "when Zoom was heard of could not be written down"),
                Err(_) => line.open = None,
            }
            Done::Sighted(line.open, seen)
        };
        self.under_way.push(sighting.boxed());
    }
}

async fn next(queue: &Queue, earliest: Option<Instant>, least_rows: usize) -> Next {
    if let Some(earliest) = earliest {
        sleep_until(earliest).await;
    }
    queue.next(least_rows).await
}

fn saw(seen: &mut Seen, what: (&'static str, &'static str, String), at: Timestamp) {
    let latest = seen.entry(what).or_insert(at);
    *latest = (*latest).max(at);
}

/// What writes one batch.
struct Pen {
    line: Line,
    settings: WriterSettings,
    written: Written,
}

impl Pen {
    async fn write(mut self, batch: Vec<Waiting>) -> Done {
        let started = Instant::now();
        // A connection that broke since the last batch says nothing of the database: another one is tried at once.
        let mut written = self.try_write(&batch).await;
        if let Err(WriteError::Broken(cause)) = &written
            && started.elapsed() < self.settings.retry_within
        {
            info!(error = %cause, "the inbox's connection broke; the batch is written over another one");
            written = self.try_write(&batch).await;
        }
        match written {
            Ok(outcomes) => {
                METRICS.committed(started.elapsed());
                for (waiting, outcome) in batch.into_iter().zip(outcomes) {
                    self.answer(waiting, Ok(outcome));
                }
            }
            Err(WriteError::Broken(cause)) => {
                warn!(error = %cause, rows = batch.len(), "the database is away; Zoom is told to come again");
                for waiting in batch {
                    let _ = waiting.reply.send(Err(IntakeError::Away));
                }
                self.written.away = true;
            }
            Err(WriteError::Rejected(cause)) => {
                warn!(error = %cause, rows = batch.len(), "a batch was rejected; its rows are written one by one");
                METRICS.split();
                self.write_singly(batch).await;
            }
        }
        Done::Batch(self.line.open, self.written)
    }

    /// One bad row must not take its neighbours with it.
    async fn write_singly(&mut self, batch: Vec<Waiting>) {
        for mut waiting in batch {
            if self.written.away || waiting.reply.is_closed() {
                let _ = waiting.reply.send(Err(IntakeError::Away));
                continue;
            }
            let mut written = self.try_write(std::slice::from_ref(&waiting)).await;
            if let Err(WriteError::Rejected(StoreError::Refused { sqlstate })) = &written {
                error!(inbox.id = %waiting.row.id, sqlstate, "no column takes what an event says of itself; it is kept in quarantine without that");
                waiting.row = strip(waiting.row);
                written = self.try_write(std::slice::from_ref(&waiting)).await;
            }
            let outcome = match written {
                // A row of which nothing is said is not known to be kept (INV-2).
                Ok(outcomes) => outcomes.first().copied().ok_or(IntakeError::Away),
                Err(WriteError::Rejected(cause)) => Err(IntakeError::Store(cause)),
                Err(WriteError::Broken(cause)) => {
                    warn!(error = %cause, "the database went away while rows were written one by one");
                    self.written.away = true;
                    Err(IntakeError::Away)
                }
            };
            self.answer(waiting, outcome);
        }
    }

    fn answer(&mut self, waiting: Waiting, outcome: Result<InboxOutcome, IntakeError>) {
        if matches!(outcome, Ok(InboxOutcome::New)) {
            let account = waiting.row.zoom_account_id;
            let account = account.map_or_else(String::new, |account| account.as_str().to_owned());
            let what = (waiting.row.endpoint, "event", account);
            saw(&mut self.written.seen, what, waiting.row.received_at);
        }
        // Whoever has given up is told nothing; a repetition finds the row.
        let _ = waiting.reply.send(outcome);
    }

    async fn try_write(&mut self, batch: &[Waiting]) -> Result<Vec<InboxOutcome>, WriteError> {
        let rows: Vec<_> = batch.iter().map(|waiting| &waiting.row).collect();
        let limit = self.settings.commit_timeout;
        let line = self.line.get().await.map_err(WriteError::Broken)?;
        let written = match timeout(limit, line.insert(&rows)).await {
            Ok(written) => written,
            Err(_) => Err(StoreError::Unavailable("no answer in time".into())),
        };
        match written {
            Ok(outcomes) => Ok(outcomes),
            Err(error @ StoreError::Unavailable(_)) => {
                self.line.open = None;
                Err(WriteError::Broken(error))
            }
            Err(error) => Err(WriteError::Rejected(error)),
        }
    }
}

/// Why a batch is not written.
enum WriteError {
    /// The connection or the database; the rows are not at fault.
    Broken(StoreError),
    /// Perhaps one of the rows.
    Rejected(StoreError),
}

/// The row without anything that the sender chose; its body is as it was.
fn strip(row: InboxRow) -> InboxRow {
    InboxRow {
        quarantined: Some(QuarantineReason::Unstorable.as_str()),
        event_type: None,
        zoom_account_id: None,
        zoom_user_id: None,
        zoom_client_id: None,
        zoom_request_id: None,
        traceparent: None,
        event_at: None,
        ..row
    }
}
