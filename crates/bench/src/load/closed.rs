//! A closed loop: each connection sends its next event when the last one is answered. It finds the highest rate.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep_until, timeout};

use super::connection::{Broken, Connection};
use super::latencies::{Latencies, Summary};
use super::tally::Tally;
use crate::event::EventSource;
use crate::failure::{Failure, Outcome};
use crate::request::{Request, Target};
use crate::wall;

/// How long the last answers are waited for.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection that cannot be opened waits before it tries again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(10);

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const STOPPED: u8 = 2;

/// A closed loop over so many connections.
#[derive(Debug, Clone)]
pub struct ClosedLoop {
    /// Where to.
    pub target: Target,
    /// What is sent.
    pub source: Arc<EventSource>,
    /// Each has one request in flight at any time.
    pub connections: usize,
    /// Threads that share the connections.
    pub threads: usize,
    /// Sent, but not measured.
    pub warm_up: Duration,
    /// Measured.
    pub duration: Duration,
    /// Counts the events, so that several runs over one source send none twice.
    pub numbers: Arc<AtomicU64>,
}

/// The edges of the measured time, at which others can be measured too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// It begins.
    Begin,
    /// It ends.
    End,
}

/// What a closed loop measured.
#[derive(Debug, Clone, Serialize)]
pub struct ClosedOutcome {
    /// Events that were accepted, a second.
    pub events_per_second: f64,
    /// Of every answer.
    pub latency: Summary,
    /// Every request of the measured time.
    pub tally: Tally,
    /// How long was measured.
    pub seconds: f64,
}

/// What one thread measured.
struct Measured {
    latencies: Latencies,
    tally: Tally,
}

impl ClosedLoop {
    /// Runs it. The observer is called at both edges of the measured time, on this thread.
    pub fn run(&self, mut observer: impl FnMut(Edge)) -> Outcome<ClosedOutcome> {
        let phase = Arc::new(AtomicU8::new(WARMING_UP));
        let threads = self.threads.clamp(1, self.connections.max(1));
        let workers: Vec<_> = (0..threads)
            .map(|index| {
                let (this, phase) = (self.clone(), Arc::clone(&phase));
                // The first threads take what does not divide.
                let connections = (self.connections + threads - 1 - index) / threads;
                thread::spawn(move || this.work(connections, &phase))
            })
            .collect();
        wall::pause(self.warm_up);
        observer(Edge::Begin);
        let start = Instant::now();
        phase.store(MEASURING, Ordering::Release);
        wall::pause(self.duration);
        phase.store(STOPPED, Ordering::Release);
        let seconds = start.elapsed().as_secs_f64();
        observer(Edge::End);
        let (mut latencies, mut tally) = (Latencies::new()?, Tally::default());
        for worker in workers {
            let measured = worker
                .join()
                .map_err(|_| Failure::new("a thread of the load generator panicked"))??;
            latencies.merge(&measured.latencies)?;
            tally.merge(&measured.tally);
        }
        Ok(ClosedOutcome {
            events_per_second: tally.accepted() as f64 / seconds,
            latency: latencies.summary(),
            tally,
            seconds,
        })
    }

    fn work(&self, connections: usize, phase: &Arc<AtomicU8>) -> Outcome<Measured> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let measured = Rc::new(RefCell::new(Measured {
            latencies: Latencies::new()?,
            tally: Tally::default(),
        }));
        let local = LocalSet::new();
        local.block_on(&runtime, async {
            let mut tasks = JoinSet::new();
            for _ in 0..connections {
                tasks.spawn_local(connection(self.clone(), Arc::clone(phase), Rc::clone(&measured)));
            }
            sleep_until((Instant::now() + self.warm_up + self.duration).into()).await;
            let _ = timeout(END_PATIENCE, async { while tasks.join_next().await.is_some() {} }).await;
            for _ in 0..tasks.len() {
                measured.borrow_mut().tally.count(Err(Broken::TimedOut));
            }
        });
        drop((local, runtime));
        Rc::into_inner(measured)
            .map(RefCell::into_inner)
            .ok_or_else(|| Failure::new("a connection of the load generator did not end"))
    }
}

async fn connection(run: ClosedLoop, phase: Arc<AtomicU8>, measured: Rc<RefCell<Measured>>) {
    let mut request = Request::new(&run.target, &run.source);
    let mut connection: Option<Connection> = None;
    while phase.load(Ordering::Acquire) != STOPPED {
        let number = run.numbers.fetch_add(1, Ordering::Relaxed);
        request.prepare(number, wall::unix_millis());
        let start = Instant::now();
        let result = match &mut connection {
            Some(connection) => connection.exchange(request.bytes()).await,
            None => match Connection::open(run.target.address).await {
                Ok(opened) => connection.insert(opened).exchange(request.bytes()).await,
                Err(broken) => Err(broken),
            },
        };
        let latency = start.elapsed();
        if !result.is_ok_and(|head| head.keep_alive) {
            connection = None;
        }
        if phase.load(Ordering::Acquire) == MEASURING {
            let mut measured = measured.borrow_mut();
            measured.tally.count(result.map(|head| head.status));
            if result.is_ok() {
                measured.latencies.record(latency);
            }
        }
        if result.is_err() {
            sleep_until((Instant::now() + RECONNECT_PAUSE).into()).await;
        }
    }
}
