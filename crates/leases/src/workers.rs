//! The loops that run jobs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use domicile_kernel::random::unit_fraction;
use domicile_kernel::{Fate, Ids, LeaseToken, WorkerId};
use domicile_store::{Conn, Db, StoreError};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant as TokioInstant, interval_at, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, info, info_span, warn};

use crate::error::{JobError, LeaseError};
use crate::handler::Handler;
use crate::lanes::{Lanes, Room};
use crate::lease::Lease;
use crate::metrics::METRICS;
use crate::store::{self, NOTIFY_CHANNEL, Taker};

/// How long a loop waits for a wake-up before it looks again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often depth and age are measured.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(15);

/// Collects handlers for [`Workers`].
pub struct WorkersBuilder {
    db: Db,
    ids: Ids,
    handlers: Vec<Arc<dyn Handler>>,
    drain_timeout: Duration,
}

impl WorkersBuilder {
    /// Adds the handler of one kind.
    #[must_use]
    pub fn handler(mut self, handler: Arc<dyn Handler>) -> Self {
        self.handlers.push(handler);
        self
    }

    /// How long running jobs may go on after the stop before they are given back. Default: 20 seconds.
    #[must_use]
    pub fn drain_timeout(mut self, drain_timeout: Duration) -> Self {
        self.drain_timeout = drain_timeout;
        self
    }

    /// Ready to run. The worker's identity is random.
    pub fn build(self) -> Workers {
        let worker = self.ids.random();
        let wakes = self
            .handlers
            .iter()
            .map(|handler| (handler.kind().0, Arc::new(Notify::new())))
            .collect();
        Workers {
            inner: Arc::new(Inner {
                db: self.db,
                ids: self.ids,
                worker,
                handlers: self.handlers,
                wakes,
                drain_timeout: self.drain_timeout,
            }),
        }
    }
}

/// Runs jobs of all plugged-in kinds.
#[derive(Clone)]
pub struct Workers {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    ids: Ids,
    worker: WorkerId,
    handlers: Vec<Arc<dyn Handler>>,
    wakes: HashMap<&'static str, Arc<Notify>>,
    drain_timeout: Duration,
}

impl Workers {
    /// Starts to collect handlers.
    pub fn builder(db: Db, ids: Ids) -> WorkersBuilder {
        WorkersBuilder {
            db,
            ids,
            handlers: Vec::new(),
            drain_timeout: Duration::from_secs(20),
        }
    }

    /// Runs until `stop` is cancelled, then drains: takes nothing more, lets what runs end, gives back the rest.
    pub async fn run(&self, stop: CancellationToken) {
        let tracker = TaskTracker::new();
        for handler in &self.inner.handlers {
            let inner = Arc::clone(&self.inner);
            tracker.spawn(inner.kind_loop(Arc::clone(handler), stop.clone()));
        }
        tracker.spawn(Arc::clone(&self.inner).listen(stop.clone()));
        tracker.spawn(Arc::clone(&self.inner).sample(stop.clone()));
        tracker.close();
        tracker.wait().await;
        info!("all jobs of this process have ended or were given back");
    }

    /// Runs every job that is due now, one after another, until none is, and returns how many attempts were made.
    /// Tests move the clock and call it.
    pub async fn run_due(&self) -> Result<usize, StoreError> {
        let mut total = 0;
        loop {
            let before = total;
            for handler in &self.inner.handlers {
                let lanes = Lanes::new(handler.policy().lane_concurrency, Arc::default());
                let leases = self
                    .inner
                    .acquire(handler.as_ref(), i64::MAX, lanes.room())
                    .await?;
                for lease in leases {
                    self.inner
                        .run_one(handler.as_ref(), &lease, &CancellationToken::new())
                        .await;
                    total += 1;
                }
            }
            if total == before {
                return Ok(total);
            }
        }
    }
}

impl Inner {
    async fn acquire(
        &self,
        handler: &dyn Handler,
        limit: i64,
        room: Option<Room>,
    ) -> Result<Vec<Lease>, StoreError> {
        let kind = handler.kind();
        let taker = Taker {
            worker: self.worker,
            token: self.ids.random::<LeaseToken>(),
            lease: handler.policy().lease,
            room,
        };
        let now = self.ids.clock().now();
        self.db
            .run_tx("lease_jobs", async |conn: &mut Conn| {
                let expired = store::reclaim_expired(conn, kind, now).await?;
                if expired > 0 {
                    warn!(
                        job.kind = kind.0,
                        expired, "leases ran out; their jobs are queued again"
                    );
                }
                store::acquire(conn, kind, limit, now, &taker).await
            })
            .await
    }

    async fn kind_loop(self: Arc<Self>, handler: Arc<dyn Handler>, stop: CancellationToken) {
        let policy = handler.policy();
        let permits = Arc::new(Semaphore::new(policy.concurrency));
        let running = TaskTracker::new();
        let give_back = CancellationToken::new();
        let wake = self.wakes.get(handler.kind().0).cloned().unwrap_or_default();
        let lanes = Arc::new(Lanes::new(policy.lane_concurrency, Arc::clone(&wake)));
        // Replicas that start together do not look together.
        self.pause(
            &wake,
            &stop,
            POLL_INTERVAL.mul_f64(unit_fraction(self.ids.rng().as_ref())),
        )
        .await;
        while !stop.is_cancelled() {
            let Ok(Some(first)) = stop
                .run_until_cancelled(Arc::clone(&permits).acquire_owned())
                .await
                .transpose()
            else {
                break;
            };
            // Interest is registered before looking, so a wake-up in between is not lost.
            let woken = wake.notified();
            let limit = i64::try_from(permits.available_permits() + 1).unwrap_or(1);
            let leases = match self.acquire(handler.as_ref(), limit, lanes.room()).await {
                Ok(leases) => leases,
                Err(error) => {
                    warn!(job.kind = handler.kind().0, error = %error, "jobs could not be leased");
                    drop(first);
                    self.pause(&wake, &stop, POLL_INTERVAL).await;
                    continue;
                }
            };
            if leases.is_empty() {
                drop(first);
                let _ = timeout(POLL_INTERVAL, stop.run_until_cancelled(woken)).await;
                continue;
            }
            let mut permit = Some(first);
            for lease in leases {
                let permit = match permit.take() {
                    Some(permit) => permit,
                    // As many leases were asked for as there were permits, and only this loop takes them.
                    None => match Arc::clone(&permits).acquire_owned().await {
                        Ok(permit) => permit,
                        Err(_) => break,
                    },
                };
                let (inner, handler, give_back) =
                    (Arc::clone(&self), Arc::clone(&handler), give_back.clone());
                let place = lanes.enter(lease.lane.as_deref());
                running.spawn(async move {
                    inner.run_one(handler.as_ref(), &lease, &give_back).await;
                    drop(permit);
                    drop(place);
                });
            }
        }
        running.close();
        if timeout(self.drain_timeout, running.wait()).await.is_err() {
            give_back.cancel();
            running.wait().await;
        }
    }

    async fn pause(&self, wake: &Notify, stop: &CancellationToken, length: Duration) {
        let _ = timeout(length, stop.run_until_cancelled(wake.notified())).await;
    }

    async fn run_one(&self, handler: &dyn Handler, lease: &Lease, give_back: &CancellationToken) {
        let span = info_span!(
            "job",
            otel.name = lease.kind,
            job.kind = lease.kind,
            job.id = %lease.job_id,
            job.attempt = lease.attempt,
        );
        if let Some(traceparent) = &lease.traceparent {
            domicile_telemetry::set_parent(&span, traceparent);
        }
        async {
            let started = Instant::now();
            let outcome = tokio::select! {
                outcome = self.attempt(handler, lease) => outcome,
                () = give_back.cancelled() => Outcome::GivenBack,
            };
            let (name, class) = self.settle(handler, lease, outcome).await;
            METRICS.attempt(lease.kind, name, class, started.elapsed());
        }
        .instrument(span)
        .await;
    }

    /// Runs the handler beside its heartbeat; a lost lease ends the attempt at once.
    async fn attempt(&self, handler: &dyn Handler, lease: &Lease) -> Outcome {
        let policy = handler.policy();
        if lease.attempt > policy.max_attempts {
            return Outcome::Failed(JobError::fail(
                "attempts_spent",
                "the job's worker died on each attempt",
            ));
        }
        tokio::select! {
            result = timeout(policy.timeout, handler.run(lease)) => match result {
                Ok(Ok(_finished)) => Outcome::Finished,
                Ok(Err(error)) => Outcome::Failed(error),
                Err(elapsed) => Outcome::Failed(JobError::retry("timeout", elapsed)),
            },
            () = self.heartbeat(lease, policy.lease) => Outcome::Lost,
        }
    }

    /// Returns when the lease is lost.
    async fn heartbeat(&self, lease: &Lease, length: Duration) {
        let period = length / 3;
        let mut ticks = interval_at(TokioInstant::now() + period, period);
        loop {
            ticks.tick().await;
            let now = self.ids.clock().now();
            let beat = self
                .db
                .run_tx("heartbeat", async |conn: &mut Conn| {
                    match store::heartbeat(conn, lease, now, length).await {
                        Ok(()) => Ok(true),
                        Err(LeaseError::Lost) => Ok(false),
                        Err(LeaseError::Store(error)) => Err(error),
                    }
                })
                .await;
            match beat {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => warn!(error = %error, "a heartbeat failed; the lease may run out"),
            }
        }
    }

    /// Writes what came of the attempt, and names it for the metrics.
    async fn settle(
        &self,
        handler: &dyn Handler,
        lease: &Lease,
        outcome: Outcome,
    ) -> (&'static str, &'static str) {
        let now = self.ids.clock().now();
        let (name, class, written) = match outcome {
            Outcome::Finished => return ("finished", ""),
            Outcome::Lost => {
                warn!("the lease was lost; the attempt is void");
                return ("lease_lost", "lease_lost");
            }
            Outcome::GivenBack => {
                let written = self
                    .db
                    .run_tx("release_job", async |conn: &mut Conn| {
                        store::release(conn, lease, now).await
                    })
                    .await;
                ("given_back", "", written)
            }
            Outcome::Failed(failure) => {
                let class = failure.class();
                let policy = handler.policy();
                match failure.fate() {
                    Fate::Retry { after } if lease.attempt < policy.max_attempts => {
                        let delay = policy
                            .backoff
                            .delay(lease.attempt, after, self.ids.rng().as_ref());
                        let due_at = now + TimeDelta::from_std(delay).unwrap_or(TimeDelta::MAX);
                        warn!(error = %Chain(&failure), retry_in_seconds = delay.as_secs(), "the attempt failed");
                        let written = self
                            .db
                            .run_tx("retry_job", async |conn: &mut Conn| {
                                store::retry(conn, lease, class, now, due_at).await
                            })
                            .await;
                        ("failed", class, written)
                    }
                    _ => {
                        error!(error = %Chain(&failure), "the job is in quarantine");
                        let written = self
                            .db
                            .run_tx(
                                "quarantine_job",
                                async |conn: &mut Conn| -> Result<(), LeaseError> {
                                    store::quarantine(conn, lease, class, now).await?;
                                    handler.quarantined(conn, lease, class).await?;
                                    Ok(())
                                },
                            )
                            .await;
                        ("quarantined", class, written)
                    }
                }
            }
        };
        match written {
            Ok(()) => (name, class),
            Err(LeaseError::Lost) => ("lease_lost", "lease_lost"),
            Err(LeaseError::Store(error)) => {
                warn!(error = %error, "the outcome could not be written; the lease will run out");
                ("unwritten", "database")
            }
        }
    }

    async fn listen(self: Arc<Self>, stop: CancellationToken) {
        domicile_store::listen(self.db.settings(), NOTIFY_CHANNEL, stop, |kind| {
            if let Some(wake) = self.wakes.get(kind) {
                wake.notify_one();
            }
        })
        .await;
    }

    async fn sample(self: Arc<Self>, stop: CancellationToken) {
        let kinds: Vec<_> = self.handlers.iter().map(|handler| handler.kind().0).collect();
        for kind in &kinds {
            METRICS.start_at_zero(kind);
        }
        while !stop.is_cancelled() {
            match self.count().await {
                Ok(rows) => METRICS.queues(&kinds, &rows, self.ids.clock().now()),
                Err(error) => warn!(error = %error, "the queues could not be measured"),
            }
            let _ = timeout(SAMPLE_INTERVAL, stop.cancelled()).await;
        }
    }

    async fn count(&self) -> Result<Vec<store::KindStatistics>, StoreError> {
        store::statistics(&mut *self.db.conn().await?).await
    }
}

enum Outcome {
    Finished,
    Failed(JobError),
    Lost,
    GivenBack,
}

/// An error with its causes, for the log.
struct Chain<'a>(&'a JobError);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = std::error::Error::source(self.0);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
