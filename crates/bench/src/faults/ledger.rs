//! What the generator was answered, event by event and fault by fault.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domicile_zoom::event::Envelope;
use sha2::{Digest, Sha256};

use super::check::Claim;
use super::plan::FaultKind;
use super::retry::{ZOOMS_TRIES, after_attempt};
use crate::load::{Answered, OpenLoop, Sink, SinkVerdict, Tally};

/// What is remembered of an event: with hundreds of thousands of them, as little as will do.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    tries: u8,
    accepted: bool,
    refused: bool,
}

/// The generator's list. It asks for every event again that was not accepted.
#[derive(Debug)]
pub struct Ledger {
    entries: Vec<Entry>,
    log: FaultLog,
    slowest: Duration,
}

/// One fault and what was answered from its begin to the next one's.
#[derive(Debug, Clone)]
pub struct FaultRecord {
    /// What was done; nothing in the first record.
    pub kind: Option<FaultKind>,
    /// When.
    pub begin: Instant,
    /// When its cause was gone: the database takes connections or goes on, the service's process exists.
    pub end: Option<Instant>,
    /// When the first request was accepted that was sent after the end.
    pub accepted_again: Option<Instant>,
    /// When the last request failed that was sent after the end.
    pub last_failure: Option<Instant>,
    /// Every answer.
    pub tally: Tally,
}

/// The faults of a run, shared by those who make them and those who see what they do.
#[derive(Debug, Clone)]
pub struct FaultLog(Arc<Mutex<Vec<FaultRecord>>>);

impl Default for FaultLog {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(vec![FaultRecord::new(None)])))
    }
}

impl FaultRecord {
    fn new(kind: Option<FaultKind>) -> Self {
        Self {
            kind,
            begin: Instant::now(),
            end: None,
            accepted_again: None,
            last_failure: None,
            tally: Tally::default(),
        }
    }
}

impl FaultLog {
    fn lock(&self) -> MutexGuard<'_, Vec<FaultRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fault begins.
    pub fn begin(&self, kind: FaultKind) {
        self.lock().push(FaultRecord::new(Some(kind)));
    }

    /// Its cause is gone.
    pub fn end(&self) {
        if let Some(record) = self.lock().last_mut() {
            record.end = Some(Instant::now());
        }
    }

    /// True when a request was accepted that was sent after the end of the last fault.
    pub fn has_recovered(&self) -> bool {
        self.lock()
            .last()
            .is_some_and(|record| record.accepted_again.is_some())
    }

    /// All records, the calm before the first fault among them.
    pub fn records(&self) -> Vec<FaultRecord> {
        self.lock().clone()
    }

    fn answered(&self, answered: &Answered, accepted: bool) {
        let mut records = self.lock();
        let Some(record) = records.last_mut() else { return };
        record.tally.count(answered.result);
        if record.end.is_some_and(|end| answered.sent >= end) {
            if accepted {
                record.accepted_again.get_or_insert(answered.at);
            } else {
                record.last_failure = Some(answered.at);
            }
        }
    }
}

impl Ledger {
    /// A list for so many events.
    pub fn new(events: u64, log: FaultLog) -> Self {
        let events = usize::try_from(events).unwrap_or(usize::MAX);
        Self {
            entries: vec![Entry::default(); events],
            log,
            slowest: Duration::ZERO,
        }
    }

    /// The longest that any request was without an answer or a broken connection.
    pub fn slowest(&self) -> Duration {
        self.slowest
    }

    /// How many events were accepted at a later try than Zoom's last.
    pub fn beyond_zooms_tries(&self) -> usize {
        let late = |entry: &&Entry| entry.accepted && u32::from(entry.tries) > ZOOMS_TRIES;
        self.entries.iter().filter(late).count()
    }

    /// How many events were accepted at each try, from the first.
    pub fn accepted_by_try(&self) -> Vec<usize> {
        let mut counts = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.accepted) {
            let index = usize::from(entry.tries.saturating_sub(1));
            if counts.len() <= index {
                counts.resize(index + 1, 0);
            }
            counts[index] += 1;
        }
        counts
    }

    /// What is claimed of the first events, so many as were sent. The bodies are made again.
    pub fn claims<'a>(&'a self, run: &'a OpenLoop, sent: u64) -> impl Iterator<Item = Claim> + 'a {
        let mut body = run.source.blank().to_vec();
        (0..sent).zip(&self.entries).map(move |(number, entry)| {
            run.source.write(&mut body, number, run.event_millis(number));
            Claim {
                digest: digest(&body),
                accepted: entry.accepted,
                refused: entry.refused,
            }
        })
    }
}

/// `inbox.digest` of a body that came to `/zoom/events`.
fn digest(body: &[u8]) -> [u8; 32] {
    let time = Envelope::parse(body).ok().and_then(|event| event.event_ts);
    let millis = time.map_or(0, |time| time.timestamp_millis()).to_be_bytes();
    let hash = Sha256::digest(body);
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(millis[2..].iter().chain(&hash[..])) {
        *to = *from;
    }
    digest
}

impl Sink for Ledger {
    fn answered(&mut self, answered: &Answered) -> SinkVerdict {
        let accepted = matches!(answered.result, Ok(200..=299));
        self.log.answered(answered, accepted);
        self.slowest = self.slowest.max(answered.at.duration_since(answered.sent));
        let index = usize::try_from(answered.job.number).unwrap_or(usize::MAX);
        if let Some(entry) = self.entries.get_mut(index) {
            entry.tries = entry.tries.saturating_add(1);
            entry.accepted |= accepted;
            entry.refused |= matches!(answered.result, Ok(300..=499));
        }
        if accepted {
            SinkVerdict::Done
        } else {
            SinkVerdict::Again(after_attempt(answered.job.attempt))
        }
    }
}

#[cfg(test)]
mod tests {
    use domicile_kernel::Secret;
    use url::Url;

    use super::super::check::{Broken, check};
    use super::*;
    use crate::event::EventSource;
    use crate::load::{Broken as BrokenConnection, Job, Schedule};
    use crate::request::Target;

    fn answer(
        ledger: &mut Ledger,
        number: u64,
        attempt: u32,
        result: Result<u16, BrokenConnection>,
    ) -> SinkVerdict {
        let now = Instant::now();
        ledger.answered(&Answered {
            job: Job {
                number,
                attempt,
                due: now,
            },
            sent: now,
            at: now,
            result,
        })
    }

    #[test]
    fn an_event_is_asked_for_again_until_it_is_accepted() {
        let mut ledger = Ledger::new(2, FaultLog::default());
        let again = |seconds| SinkVerdict::Again(Duration::from_secs(seconds));
        assert_eq!(answer(&mut ledger, 0, 0, Ok(503)), again(5));
        assert_eq!(
            answer(&mut ledger, 0, 1, Err(BrokenConnection::TimedOut)),
            again(10)
        );
        assert_eq!(answer(&mut ledger, 0, 2, Ok(204)), SinkVerdict::Done);
        assert_eq!(answer(&mut ledger, 1, 0, Ok(200)), SinkVerdict::Done);
        assert_eq!(ledger.accepted_by_try(), [1, 0, 1]);
        assert_eq!(ledger.beyond_zooms_tries(), 0);
    }

    #[test]
    fn the_claims_are_of_the_bodies_that_were_sent() {
        let url = Url::parse("http://127.0.0.1:9/zoom/events").unwrap();
        let run = OpenLoop {
            target: Target::new(&url, &Secret::from("s")).unwrap(),
            source: Arc::new(EventSource::new(2, 1)),
            schedule: Schedule::new(100.0, Duration::from_secs(1)),
            first_event_millis: 1_795_000_000_000,
            connections: 1,
            patience: Duration::from_secs(1),
            pursuit: Duration::ZERO,
        };
        let mut ledger = Ledger::new(3, FaultLog::default());
        answer(&mut ledger, 0, 0, Ok(200));
        answer(&mut ledger, 1, 0, Ok(401));
        let stored = [digest(&run.source.body(0, 1_795_000_000_000))];
        let findings = check(ledger.claims(&run, 2), stored);
        let broken: Vec<_> = findings.broken.into_iter().collect();
        assert_eq!(broken, [(Broken::Refused, 1), (Broken::NeverAccepted, 1)]);
        assert_eq!(findings.kept, 1);
    }

    #[test]
    fn answers_belong_to_the_fault_that_came_last() {
        let log = FaultLog::default();
        let mut ledger = Ledger::new(9, log.clone());
        answer(&mut ledger, 0, 0, Ok(200));
        log.begin(FaultKind::DatabaseKilled);
        answer(&mut ledger, 1, 0, Ok(503));
        let during = log.records()[1].clone();
        assert_eq!((during.accepted_again, during.last_failure), (None, None));
        assert!(!log.has_recovered());
        log.end();
        answer(&mut ledger, 2, 0, Err(BrokenConnection::Closed));
        answer(&mut ledger, 3, 0, Ok(200));
        let records = log.records();
        assert_eq!(records[0].tally.accepted(), 1);
        let record = &records[1];
        assert_eq!(
            (
                record.tally.accepted(),
                record.tally.unavailable(),
                record.tally.unanswered()
            ),
            (1, 1, 1)
        );
        assert!(record.last_failure <= record.accepted_again);
        assert!(log.has_recovered());
    }
}
