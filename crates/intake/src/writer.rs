//! Keeping: the one place that writes new rows of the inbox.
//!
//! One task writes for all requests of its queue. It takes whatever has queued up while its last commit was under way, so batches
//! grow with the load and a lone request waits for nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domicile_kernel::Timestamp;
use domicile_store::inbox::{InboxLine, InboxOutcome, InboxRow, Sighting};
use domicile_store::{DbSettings, StoreError};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::endpoint::Endpoint;
use crate::error::IntakeError;
use crate::metrics::METRICS;
use crate::queue::{Next, Queue, Waiting};
use crate::reason::QuarantineReason;
use crate::settings::WriterSettings;

/// How long opening a connection may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait before a connection that could not be opened is tried again.
const REOPEN_AFTER: Duration = Duration::from_millis(100);
/// How often dispatchers are woken at most.
const ANNOUNCE_INTERVAL: Duration = Duration::from_millis(5);
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
        let task = Task {
            db,
            settings,
            queue: Arc::clone(&queue),
            line: None,
            announced: None,
            owes_announcement: false,
            seen: HashMap::new(),
            sighted: None,
        };
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

struct Task {
    db: DbSettings,
    settings: WriterSettings,
    queue: Arc<Queue>,
    line: Option<InboxLine>,
    announced: Option<Instant>,
    owes_announcement: bool,
    /// When Zoom was heard of, by endpoint, kind and account, as far as it is not yet written down.
    seen: HashMap<(&'static str, &'static str, String), Timestamp>,
    sighted: Option<Instant>,
}

impl Task {
    async fn run(mut self) {
        loop {
            let next = if self.owes_announcement {
                match timeout(ANNOUNCE_INTERVAL, self.queue.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.announce().await;
                        continue;
                    }
                }
            } else if self.seen.is_empty() {
                self.queue.next().await
            } else {
                match timeout(SIGHT_INTERVAL, self.queue.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.sight().await;
                        continue;
                    }
                }
            };
            match next {
                Next::Batch(batch) => self.write(batch).await,
                Next::Challenges(challenges) => {
                    for (endpoint, at) in challenges {
                        self.saw(endpoint.as_str(), "challenge", String::new(), at);
                    }
                    self.sight().await;
                }
                Next::Closed => {
                    self.sight().await;
                    return;
                }
            }
            if self.sighted.is_none_or(|at| at.elapsed() >= SIGHT_INTERVAL) && !self.seen.is_empty() {
                self.sight().await;
            }
        }
    }

    /// Writes a batch and answers everybody in it.
    async fn write(&mut self, mut batch: Vec<Waiting>) {
        METRICS.batch(
            batch.len(),
            batch.first().map(|oldest| oldest.queued_at.elapsed()),
        );
        METRICS.queued(self.queue.depth());
        // In one order everywhere, so that two writers with the same bodies never wait for each other; the index likes it too.
        batch.sort_unstable_by_key(|waiting| (waiting.row.endpoint, waiting.row.digest));
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
                self.wait_for_database().await;
            }
            Err(WriteError::Rejected(cause)) => {
                warn!(error = %cause, rows = batch.len(), "a batch was rejected; its rows are written one by one");
                METRICS.split();
                self.write_singly(batch).await;
            }
        }
    }

    /// One bad row must not take its neighbours with it.
    async fn write_singly(&mut self, batch: Vec<Waiting>) {
        let mut away = false;
        for mut waiting in batch {
            if away || waiting.reply.is_closed() {
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
                    away = true;
                    Err(IntakeError::Away)
                }
            };
            self.answer(waiting, outcome);
        }
        if away {
            self.wait_for_database().await;
        }
    }

    fn answer(&mut self, waiting: Waiting, outcome: Result<InboxOutcome, IntakeError>) {
        if matches!(outcome, Ok(InboxOutcome::New)) {
            let account = waiting.row.zoom_account_id;
            let account = account.map_or_else(String::new, |account| account.as_str().to_owned());
            self.saw(waiting.row.endpoint, "event", account, waiting.row.received_at);
        }
        // Whoever has given up is told nothing; a repetition finds the row.
        let _ = waiting.reply.send(outcome);
    }

    async fn try_write(&mut self, batch: &[Waiting]) -> Result<Vec<InboxOutcome>, WriteError> {
        let rows: Vec<_> = batch.iter().map(|waiting| &waiting.row).collect();
        let due = self.announced.is_none_or(|at| at.elapsed() >= ANNOUNCE_INTERVAL);
        let for_handlers = rows.iter().any(|row| row.quarantined.is_none());
        let limit = self.settings.commit_timeout;
        let line = self.line().await?;
        let written = match timeout(limit, line.insert(&rows, due && for_handlers)).await {
            Ok(written) => written,
            Err(_) => Err(StoreError::Unavailable("no answer in time".into())),
        };
        match written {
            Ok(outcomes) => {
                if due && for_handlers {
                    self.announced = Some(Instant::now());
                }
                self.owes_announcement = for_handlers && !due;
                Ok(outcomes)
            }
            Err(error @ StoreError::Unavailable(_)) => {
                self.line = None;
                Err(WriteError::Broken(error))
            }
            Err(error) => Err(WriteError::Rejected(error)),
        }
    }

    /// The connection; a new one if the last is gone.
    async fn line(&mut self) -> Result<&InboxLine, WriteError> {
        if self.line.as_ref().is_none_or(InboxLine::is_closed) {
            let opened = match timeout(OPEN_TIMEOUT, InboxLine::open(&self.db)).await {
                Ok(opened) => opened.map_err(WriteError::Broken)?,
                Err(_) => {
                    return Err(WriteError::Broken(StoreError::Unavailable(
                        "no connection in time".into(),
                    )));
                }
            };
            self.line = Some(opened);
        }
        let missing = || WriteError::Broken(StoreError::Unavailable("no connection".into()));
        self.line.as_ref().ok_or_else(missing)
    }

    /// Nothing is queued until the database answers again.
    async fn wait_for_database(&mut self) {
        self.queue.set_away(true);
        METRICS.away(true);
        let closing = self.queue.closing().clone();
        while !closing.is_cancelled() {
            if self.line().await.is_ok() {
                info!("the database is back");
                break;
            }
            let _ = timeout(REOPEN_AFTER, closing.cancelled()).await;
        }
        METRICS.away(false);
        self.queue.set_away(false);
    }

    async fn announce(&mut self) {
        self.owes_announcement = false;
        self.announced = Some(Instant::now());
        if let Ok(line) = self.line().await
            && let Ok(Err(error)) = timeout(OPEN_TIMEOUT, line.announce()).await
        {
            // They poll.
            info!(%error, "the dispatchers could not be woken");
        }
    }

    fn saw(&mut self, endpoint: &'static str, kind: &'static str, account: String, at: Timestamp) {
        let latest = self.seen.entry((endpoint, kind, account)).or_insert(at);
        *latest = (*latest).max(at);
    }

    /// Writes down when Zoom was heard of; what cannot be written stays for the next time.
    async fn sight(&mut self) {
        self.sighted = Some(Instant::now());
        let mut sightings: Vec<_> = self
            .seen
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
        if sightings.is_empty() {
            return;
        }
        let Ok(line) = self.line().await else { return };
        match timeout(OPEN_TIMEOUT, line.sight(&sightings)).await {
            Ok(Ok(())) => self.seen.clear(),
            Ok(Err(error)) => warn!(%error, "when Zoom was heard of could not be written down"),
            Err(_) => self.line = None,
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
