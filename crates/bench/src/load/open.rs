//! An open loop: requests are due at a fixed rate, whether or not earlier ones are answered. It finds the latency that
//! callers see who do not wait for each other, as Zoom's servers do not.
//!
//! A latency counts from the time at which the request was due, not from the time at which it could be sent, so that a
//! server that stalls is charged for all that came due in the meantime (coordinated omission is corrected).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::connection::{Broken, Connection};
use super::schedule::Schedule;
use crate::event::EventSource;
use crate::failure::{Failure, Outcome};
use crate::request::{Request, Target};
use crate::wall;

/// A request that leaves later than this after it was due is counted as late.
const LATE: Duration = Duration::from_millis(5);
/// Servers close connections that are idle for long, and a request on its way then would look broken.
const IDLE_LIMIT: Duration = Duration::from_secs(2);
/// How often it is looked whether a repetition is due.
const TICK: Duration = Duration::from_millis(10);

/// An open loop at a fixed rate.
#[derive(Debug, Clone)]
pub struct OpenLoop {
    /// Where to.
    pub target: Target,
    /// What is sent: the events of the numbers from 0.
    pub source: Arc<EventSource>,
    /// When each event is due for the first time.
    pub schedule: Schedule,
    /// The `event_ts` of the first event, in Unix milliseconds; the others follow by the schedule.
    pub first_event_millis: u64,
    /// The most requests in flight. Where it is reached, requests leave late, and it is said.
    pub connections: usize,
    /// How long an answer is waited for; Zoom waits three seconds.
    pub patience: Duration,
    /// How long after the last first try events are repeated that are not accepted yet.
    pub pursuit: Duration,
}

/// One try to deliver an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// The event.
    pub number: u64,
    /// 0 for the first try.
    pub attempt: u32,
    /// When it was due.
    pub due: Instant,
}

/// How a try ended.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// The try.
    pub job: Job,
    /// When it left.
    pub sent: Instant,
    /// When it ended.
    pub at: Instant,
    /// The status, or why there is none.
    pub result: Result<u16, Broken>,
}

/// What is to happen to an event after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkVerdict {
    /// Nothing more.
    Done,
    /// The same body again after this time, signed anew.
    Again(Duration),
}

/// Is told of every end of a try.
pub trait Sink {
    /// The schedule begins now.
    fn begin(&mut self, start: Instant) {
        let _ = start;
    }

    /// Takes it, and says what is to happen to the event.
    fn answered(&mut self, answered: &Answered) -> SinkVerdict;
}

/// How well the schedule was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// First tries that left.
    pub sent: u64,
    /// First tries that left later than 5 ms after they were due.
    pub late: u64,
    /// The latest of them.
    pub latest: Duration,
    /// Tries that were due or in flight when the time was over, and events whose repetition was still to come.
    pub unfinished: u64,
    /// The most requests that were in flight at once.
    pub most_in_flight: usize,
}

impl Kept {
    /// The rate was not offered as it was meant to be: more than one in a hundred left late.
    pub fn failed(&self) -> bool {
        self.late * 100 > self.sent
    }
}

/// A connection with the room for its request.
struct Lane {
    connection: Option<Connection>,
    request: Request,
}

impl OpenLoop {
    /// The `event_ts` of an event.
    pub fn event_millis(&self, number: u64) -> u64 {
        let after = u64::try_from(self.schedule.due(number).as_millis()).unwrap_or(0);
        self.first_event_millis + after
    }

    /// Runs it on this thread to the end of the schedule, and of the repetitions that the sink asked for.
    pub fn run(&self, sink: &mut dyn Sink) -> Outcome<Kept> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (pace, paced) = unbounded_channel();
        let (schedule, start) = (self.schedule, Instant::now());
        sink.begin(start);
        let clockwork = thread::spawn(move || keep_pace(schedule, start, &pace));
        let local = LocalSet::new();
        let kept = local.block_on(&runtime, Pump::new(self, start).run(paced, sink));
        clockwork
            .join()
            .map_err(|_| Failure::new("the pacer of the load generator panicked"))?;
        Ok(kept)
    }
}

/// Says each number when it is due. A thread wakes within some fifty microseconds, a timer of the runtime within a
/// millisecond.
fn keep_pace(schedule: Schedule, start: Instant, pace: &UnboundedSender<u64>) {
    for number in 0..schedule.total() {
        let due = start + schedule.due(number);
        let wait = due.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            wall::pause(wait);
        }
        if pace.send(number).is_err() {
            return;
        }
    }
}

struct Pump<'a> {
    run: &'a OpenLoop,
    start: Instant,
    idle: Vec<Lane>,
    waiting: VecDeque<Job>,
    repetitions: BinaryHeap<Reverse<(Instant, u64, u32)>>,
    in_flight: usize,
    kept: Kept,
}

impl<'a> Pump<'a> {
    fn new(run: &'a OpenLoop, start: Instant) -> Self {
        Self {
            run,
            start,
            idle: Vec::new(),
            waiting: VecDeque::new(),
            repetitions: BinaryHeap::new(),
            in_flight: 0,
            kept: Kept::default(),
        }
    }

    async fn run(mut self, mut paced: UnboundedReceiver<u64>, sink: &mut dyn Sink) -> Kept {
        let (done, mut ended) = unbounded_channel::<(Lane, Answered)>();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut pacing = true;
        let mut last_of_schedule = Instant::now();
        loop {
            self.send_what_is_due(&done);
            if !pacing {
                let over = last_of_schedule.elapsed() > self.run.pursuit;
                let nothing_left =
                    self.in_flight == 0 && self.waiting.is_empty() && self.repetitions.is_empty();
                if nothing_left || over {
                    break;
                }
            }
            tokio::select! {
                biased;
                Some((lane, answered)) = ended.recv() => self.take(lane, &answered, sink),
                number = paced.recv(), if pacing => match number {
                    Some(number) => self.waiting.push_back(Job {
                        number,
                        attempt: 0,
                        due: self.start + self.run.schedule.due(number),
                    }),
                    None => (pacing, last_of_schedule) = (false, Instant::now()),
                },
                _ = tick.tick() => self.repeat_what_is_due(),
            }
        }
        self.kept.unfinished = (self.in_flight + self.waiting.len() + self.repetitions.len()) as u64;
        self.kept
    }

    fn send_what_is_due(&mut self, done: &UnboundedSender<(Lane, Answered)>) {
        while self.in_flight < self.run.connections
            && let Some(job) = self.waiting.pop_front()
        {
            let lane = self.idle.pop().unwrap_or_else(|| Lane {
                connection: None,
                request: Request::new(&self.run.target, &self.run.source),
            });
            self.in_flight += 1;
            self.kept.most_in_flight = self.kept.most_in_flight.max(self.in_flight);
            if job.attempt == 0 {
                let lag = Instant::now().saturating_duration_since(job.due);
                self.kept.sent += 1;
                self.kept.late += u64::from(lag > LATE);
                self.kept.latest = self.kept.latest.max(lag);
            }
            let (address, patience) = (self.run.target.address, self.run.patience);
            let event_millis = self.run.event_millis(job.number);
            let done = done.clone();
            tokio::task::spawn_local(async move {
                // The receiver is gone only when the run is over.
                let _ = done.send(deliver(lane, job, event_millis, address, patience).await);
            });
        }
    }

    fn take(&mut self, lane: Lane, answered: &Answered, sink: &mut dyn Sink) {
        self.in_flight -= 1;
        self.idle.push(lane);
        let Job { number, attempt, .. } = answered.job;
        if let SinkVerdict::Again(after) = sink.answered(answered) {
            self.repetitions
                .push(Reverse((answered.at + after, number, attempt + 1)));
        }
    }

    fn repeat_what_is_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((due, number, attempt))) = self.repetitions.peek().copied()
            && due <= now
        {
            self.repetitions.pop();
            self.waiting.push_back(Job { number, attempt, due });
        }
    }
}

async fn deliver(
    mut lane: Lane,
    job: Job,
    event_millis: u64,
    address: std::net::SocketAddr,
    patience: Duration,
) -> (Lane, Answered) {
    let sent = Instant::now();
    lane.request.prepare(job.number, event_millis);
    let usable = |connection: &Connection| connection.used().elapsed() < IDLE_LIMIT && connection.is_open();
    let kept = lane.connection.take().filter(usable);
    let request = lane.request.bytes();
    let exchange = async {
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(address).await?,
        };
        let head = connection.exchange(request).await?;
        Ok((head, connection))
    };
    let result = match timeout(patience, exchange).await {
        Ok(Ok((head, connection))) => {
            lane.connection = head.keep_alive.then_some(connection);
            Ok(head.status)
        }
        Ok(Err(broken)) => Err(broken),
        Err(_) => Err(Broken::TimedOut),
    };
    let answered = Answered {
        job,
        sent,
        at: Instant::now(),
        result,
    };
    (lane, answered)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domicile_kernel::Secret;
    use url::Url;

    use super::super::ceiling::Responder;
    use super::*;

    /// Wants each event until it has been tried so often.
    struct Tries {
        wanted: u32,
        seen: BTreeMap<u64, u32>,
    }

    impl Sink for Tries {
        fn answered(&mut self, answered: &Answered) -> SinkVerdict {
            let tries = self.seen.entry(answered.job.number).or_default();
            assert_eq!(answered.job.attempt, *tries);
            *tries += 1;
            if *tries < self.wanted {
                SinkVerdict::Again(Duration::from_millis(1))
            } else {
                SinkVerdict::Done
            }
        }
    }

    fn run(address: Option<std::net::SocketAddr>, wanted: u32, connections: usize) -> (Kept, Tries) {
        let url = Url::parse("http://127.0.0.1:9/zoom/events").unwrap();
        let mut target = Target::new(&url, &Secret::from("s")).unwrap();
        if let Some(address) = address {
            target = target.at(address);
        }
        let open = OpenLoop {
            target,
            source: Arc::new(EventSource::new(2, 1)),
            schedule: Schedule::new(1_000.0, Duration::from_millis(100)),
            first_event_millis: 5_000,
            connections,
            patience: Duration::from_secs(3),
            pursuit: Duration::from_secs(20),
        };
        assert_eq!(open.event_millis(50), 5_050);
        let mut tries = Tries {
            wanted,
            seen: BTreeMap::new(),
        };
        let kept = open.run(&mut tries).unwrap();
        (kept, tries)
    }

    #[test]
    fn every_event_is_tried_until_the_sink_is_content() {
        let url = Url::parse("http://127.0.0.1:9/zoom/events").unwrap();
        let target = Target::new(&url, &Secret::from("s")).unwrap();
        let length = Request::new(&target, &Arc::new(EventSource::new(2, 1)))
            .bytes()
            .len();
        let responder = Responder::start(length).unwrap();
        let (kept, tries) = run(Some(responder.address), 3, 16);
        assert_eq!((kept.sent, kept.unfinished), (100, 0));
        assert_eq!(tries.seen.len(), 100);
        assert!(tries.seen.values().all(|tries| *tries == 3));
        assert!((1..=16).contains(&kept.most_in_flight));
    }

    #[test]
    fn a_server_that_is_not_there_is_an_answer_too() {
        let (kept, tries) = run(None, 1, 16);
        assert_eq!((kept.sent, kept.unfinished), (100, 0));
        assert_eq!(tries.seen.len(), 100);
    }
}
