//! What waits to be written: bounded in rows and in bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domicile_kernel::Timestamp;
use domicile_store::inbox::{InboxOutcome, InboxRow};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::endpoint::Endpoint;
use crate::error::IntakeError;
use crate::settings::WriterSettings;

/// A row with the request that waits for it.
pub(crate) struct Waiting {
    pub(crate) row: InboxRow,
    pub(crate) reply: oneshot::Sender<Result<InboxOutcome, IntakeError>>,
    pub(crate) queued_at: Instant,
}

impl Waiting {
    fn size_bytes(&self) -> usize {
        // What a row takes beside its body.
        self.row.body_sealed.len() + 512
    }
}

/// The queue between the requests and the writer.
pub(crate) struct Queue {
    settings: WriterSettings,
    state: Mutex<State>,
    wake: Notify,
    closing: CancellationToken,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    size_bytes: usize,
    /// The database does not answer: nothing is queued until it does.
    away: bool,
    challenges: HashMap<Endpoint, Timestamp>,
    /// The writer wants to be woken once so many wait.
    least_rows: usize,
}

/// What the writer does next.
pub(crate) enum Next {
    /// Write these.
    Batch(Vec<Waiting>),
    /// Write down that these endpoints were challenged.
    Challenges(HashMap<Endpoint, Timestamp>),
    /// Nobody will queue any more.
    Closed,
}

impl Queue {
    pub(crate) fn new(settings: WriterSettings) -> Self {
        Self {
            settings,
            state: Mutex::default(),
            wake: Notify::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Queues a row, unless the queue is full or the database is known to be away.
    pub(crate) fn push(&self, waiting: Waiting) -> Result<(), IntakeError> {
        let mut state = self.state();
        if state.away || self.closing.is_cancelled() {
            return Err(IntakeError::Away);
        }
        let size_bytes = state.size_bytes + waiting.size_bytes();
        if state.waiting.len() >= self.settings.max_queued_requests
            // What is larger than the whole queue goes alone.
            || (size_bytes > self.settings.max_queued_bytes && !state.waiting.is_empty())
        {
            return Err(IntakeError::Full);
        }
        state.size_bytes = size_bytes;
        state.waiting.push_back(waiting);
        let enough = state.waiting.len() == state.least_rows.max(1);
        drop(state);
        // The writer takes all that is there, so only one must wake it.
        if enough {
            self.wake.notify_one();
        }
        Ok(())
    }

    pub(crate) fn challenged(&self, endpoint: Endpoint, at: Timestamp) {
        self.state().challenges.insert(endpoint, at);
        self.wake.notify_one();
    }

    /// Waits for work: for so many rows at least, unless nobody will queue any more. A request that has given up is passed over.
    /// Nothing is taken by a call that is dropped.
    pub(crate) async fn next(&self, least_rows: usize) -> Next {
        loop {
            // Interest is registered before looking, so a wake-up in between is not lost.
            let woken = self.wake.notified();
            {
                let mut state = self.state();
                state.least_rows = least_rows;
                if state.waiting.len() >= least_rows || self.closing.is_cancelled() {
                    let batch = self.take(&mut state);
                    if !batch.is_empty() {
                        return Next::Batch(batch);
                    }
                }
                if !state.challenges.is_empty() {
                    return Next::Challenges(std::mem::take(&mut state.challenges));
                }
                if self.closing.is_cancelled() {
                    return Next::Closed;
                }
            }
            woken.await;
        }
    }

    fn take(&self, state: &mut State) -> Vec<Waiting> {
        let rows = state.waiting.len().min(self.settings.max_batch_rows);
        let (mut batch, mut size_bytes) = (Vec::with_capacity(rows), 0);
        while batch.len() < self.settings.max_batch_rows {
            let Some(next) = state.waiting.front() else { break };
            let next_bytes = next.size_bytes();
            if size_bytes + next_bytes > self.settings.max_batch_bytes && !batch.is_empty() {
                break;
            }
            let Some(next) = state.waiting.pop_front() else {
                break;
            };
            state.size_bytes = state.size_bytes.saturating_sub(next_bytes);
            if !next.reply.is_closed() {
                size_bytes += next_bytes;
                batch.push(next);
            }
        }
        batch
    }

    /// Says whether the database answers. While it is away, whoever waits is sent away too.
    pub(crate) fn set_away(&self, away: bool) {
        let waiting = {
            let mut state = self.state();
            state.away = away;
            if !away {
                return;
            }
            state.size_bytes = 0;
            std::mem::take(&mut state.waiting)
        };
        for waiting in waiting {
            let _ = waiting.reply.send(Err(IntakeError::Away));
        }
    }

    pub(crate) fn close(&self) {
        self.closing.cancel();
        self.wake.notify_one();
    }

    /// Cancelled once nobody will queue any more.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// True while whatever comes would be sent away.
    pub(crate) fn sends_away(&self) -> bool {
        let state = self.state();
        state.away || state.waiting.len() >= self.settings.max_queued_requests
    }

    /// Requests and bytes that wait.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let state = self.state();
        (state.waiting.len(), state.size_bytes)
    }

    // Nothing panics while it is locked, and a half-made change could only be a counter.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
