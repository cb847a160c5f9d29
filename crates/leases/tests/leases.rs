//! The job engine against a real PostgreSQL. Time is moved, never slept.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed; the panic says why"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domicile_kernel::state::JobStatus;
use domicile_kernel::{Fate, Ids};
use domicile_leases::{
    Backoff, Finished, Handler, JobError, JobKind, Lease, LeaseError, NewJob, Policy, Workers, cancel,
    enqueue, redrive, statistics,
};
use domicile_store::{Conn, Db, StoreError};
use domicile_testkit::clock::{SeededRng, TestClock, ids};
use domicile_testkit::db::TestDb;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const KIND: JobKind = JobKind("test.kind");

/// What the handler does with its next attempt.
#[derive(Clone)]
enum Plan {
    Finish,
    Fail(Fate),
    /// Says that it runs, then never ends.
    Hang(Arc<Notify>),
    /// Says that it runs, waits for the word, then finishes.
    Wait {
        running: Arc<Notify>,
        go: Arc<Notify>,
    },
}

struct Scripted {
    db: Db,
    ids: Ids,
    plan: Plan,
    attempts: AtomicU32,
    quarantined: AtomicU32,
}

#[async_trait]
impl Handler for Scripted {
    fn kind(&self) -> JobKind {
        KIND
    }

    fn policy(&self) -> Policy {
        Policy {
            concurrency: 2,
            lane_concurrency: Some(1),
            lease: Duration::from_secs(60),
            timeout: Duration::from_secs(50),
            backoff: Backoff {
                first: Duration::from_secs(10),
                longest: Duration::from_secs(60),
            },
            max_attempts: 3,
        }
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        match &self.plan {
            Plan::Finish => {}
            Plan::Fail(fate) => return Err(JobError::new("planned", *fate, "planned")),
            Plan::Hang(running) => {
                running.notify_one();
                std::future::pending::<()>().await;
            }
            Plan::Wait { running, go } => {
                running.notify_one();
                go.notified().await;
            }
        }
        let now = self.ids.clock().now();
        Ok(self
            .db
            .run_tx(
                "finish",
                async |conn: &mut Conn| -> Result<Finished, LeaseError> { lease.finish(conn, now).await },
            )
            .await?)
    }

    async fn quarantined(&self, _: &mut Conn, _: &Lease, _: &'static str) -> Result<(), StoreError> {
        self.quarantined.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

struct Bench {
    test: TestDb,
    clock: TestClock,
    ids: Ids,
}

impl Bench {
    async fn new() -> Self {
        let clock = TestClock::new();
        Self {
            test: TestDb::create().await,
            ids: ids(&clock, &SeededRng::new(1)),
            clock,
        }
    }

    fn worker(&self, plan: Plan) -> (Arc<Scripted>, Workers) {
        let handler = Arc::new(Scripted {
            db: self.test.db(),
            ids: self.ids.clone(),
            plan,
            attempts: AtomicU32::new(0),
            quarantined: AtomicU32::new(0),
        });
        let workers = Workers::builder(self.test.db(), self.ids.clone())
            .handler(Arc::clone(&handler) as Arc<dyn Handler>)
            .drain_timeout(Duration::ZERO)
            .build();
        (handler, workers)
    }

    async fn ask(&self, key: &str, delay: Duration) {
        self.ask_in(None, key, delay).await;
    }

    async fn ask_in(&self, lane: Option<&str>, key: &str, delay: Duration) {
        let due_at = self.ids.clock().now() + delay;
        self.test
            .db()
            .run_tx("ask", async |conn: &mut Conn| {
                enqueue(
                    conn,
                    &self.ids,
                    NewJob {
                        kind: KIND,
                        key,
                        lane,
                        due_at,
                        traceparent: None,
                    },
                )
                .await
            })
            .await
            .unwrap();
    }

    /// Each unfinished job's state and attempts.
    async fn jobs(&self) -> Vec<(String, String, i32)> {
        let sql = "SELECT key, status, attempts FROM jobs ORDER BY key";
        let rows = self.test.client().await.query(sql, &[]).await.unwrap();
        rows.iter()
            .map(|row| (row.get(0), row.get(1), row.get(2)))
            .collect()
    }
}

#[tokio::test]
async fn a_job_runs_once_when_it_is_due_and_leaves_no_row() {
    let bench = Bench::new().await;
    let (handler, workers) = bench.worker(Plan::Finish);
    bench.ask("a", Duration::from_secs(60)).await;
    bench.ask("a", Duration::from_secs(60)).await;
    assert_eq!(workers.run_due().await.unwrap(), 0);
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(workers.run_due().await.unwrap(), 1);
    assert_eq!(handler.attempts.load(Ordering::SeqCst), 1);
    assert!(bench.jobs().await.is_empty());
}

#[tokio::test]
async fn asked_for_sooner_it_runs_sooner() {
    let bench = Bench::new().await;
    let (_, workers) = bench.worker(Plan::Finish);
    bench.ask("a", Duration::from_secs(3600)).await;
    bench.ask("a", Duration::ZERO).await;
    assert_eq!(workers.run_due().await.unwrap(), 1);
}

#[tokio::test]
async fn a_failure_waits_for_its_backoff_and_asking_again_does_not_shorten_it() {
    let bench = Bench::new().await;
    let (handler, workers) = bench.worker(Plan::Fail(Fate::RETRY));
    bench.ask("a", Duration::ZERO).await;
    assert_eq!(workers.run_due().await.unwrap(), 1);
    bench.ask("a", Duration::ZERO).await;
    assert_eq!(workers.run_due().await.unwrap(), 0);
    bench.clock.advance(Duration::from_secs(10));
    assert_eq!(workers.run_due().await.unwrap(), 1);
    assert_eq!(handler.attempts.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_retry_after_is_waited_for() {
    let bench = Bench::new().await;
    let after = Some(Duration::from_secs(500));
    let (_, workers) = bench.worker(Plan::Fail(Fate::Retry { after }));
    bench.ask("a", Duration::ZERO).await;
    workers.run_due().await.unwrap();
    bench.clock.advance(Duration::from_secs(499));
    assert_eq!(workers.run_due().await.unwrap(), 0);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(workers.run_due().await.unwrap(), 1);
}

#[tokio::test]
async fn a_spent_job_is_quarantined_kept_and_redriven() {
    let bench = Bench::new().await;
    let (handler, workers) = bench.worker(Plan::Fail(Fate::RETRY));
    bench.ask("a", Duration::ZERO).await;
    for _ in 0..5 {
        workers.run_due().await.unwrap();
        bench.clock.advance(Duration::from_secs(100));
    }
    assert_eq!(handler.attempts.load(Ordering::SeqCst), 3);
    assert_eq!(handler.quarantined.load(Ordering::SeqCst), 1);
    assert_eq!(
        bench.jobs().await,
        [("a".to_owned(), "quarantined".to_owned(), 3)]
    );
    let db = bench.test.db();
    let counted = statistics(&mut db.conn().await.unwrap()).await.unwrap();
    assert_eq!((counted[0].status, counted[0].count), (JobStatus::Quarantined, 1));
    let now = bench.ids.clock().now();
    let redriven = db
        .run_tx("redrive", async |conn: &mut Conn| {
            redrive(conn, KIND, None, now).await
        })
        .await
        .unwrap();
    assert_eq!(redriven, 1);
    let (_, better) = bench.worker(Plan::Finish);
    assert_eq!(better.run_due().await.unwrap(), 1);
    assert!(bench.jobs().await.is_empty());
}

#[tokio::test]
async fn a_final_failure_is_quarantined_at_once_and_a_new_wish_revives_it() {
    let bench = Bench::new().await;
    let (_, workers) = bench.worker(Plan::Fail(Fate::Final));
    bench.ask("a", Duration::ZERO).await;
    workers.run_due().await.unwrap();
    assert_eq!(
        bench.jobs().await,
        [("a".to_owned(), "quarantined".to_owned(), 1)]
    );
    bench.ask("a", Duration::ZERO).await;
    assert_eq!(bench.jobs().await, [("a".to_owned(), "queued".to_owned(), 0)]);
}

/// INV-5: whoever lost the lease cannot finish, fail or release the job.
#[tokio::test]
async fn a_worker_that_lost_its_lease_can_do_nothing_to_the_job() {
    let bench = Bench::new().await;
    let (running, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (_, slow) = bench.worker(Plan::Wait {
        running: Arc::clone(&running),
        go: Arc::clone(&go),
    });
    bench.ask("a", Duration::ZERO).await;
    let slow_run = tokio::spawn(async move { slow.run_due().await });
    running.notified().await;
    // The lease runs out while the slow worker does not notice, and another takes the job and keeps it.
    bench.clock.advance(Duration::from_secs(61));
    let other_running = Arc::new(Notify::new());
    let (_, other) = bench.worker(Plan::Hang(Arc::clone(&other_running)));
    let other_run = tokio::spawn(async move { other.run_due().await });
    other_running.notified().await;
    go.notify_one();
    slow_run.await.unwrap().unwrap();
    assert_eq!(bench.jobs().await, [("a".to_owned(), "leased".to_owned(), 2)]);
    other_run.abort();
}

#[tokio::test]
async fn a_job_that_is_cancelled_is_gone_also_for_the_worker_that_runs_it() {
    let bench = Bench::new().await;
    let (running, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (_, workers) = bench.worker(Plan::Wait {
        running: Arc::clone(&running),
        go: Arc::clone(&go),
    });
    bench.ask("a", Duration::ZERO).await;
    bench.ask("b", Duration::from_secs(60)).await;
    let run = tokio::spawn(async move { workers.run_due().await });
    running.notified().await;
    for (key, there) in [("a", true), ("a", false), ("b", true)] {
        let cancelled = bench
            .test
            .db()
            .run_tx("cancel", async |conn: &mut Conn| cancel(conn, KIND, key).await)
            .await
            .unwrap();
        assert_eq!(cancelled, there, "{key}");
    }
    // What the handler would commit is undone, and nothing brings the job back.
    go.notify_one();
    run.await.unwrap().unwrap();
    assert!(bench.jobs().await.is_empty());
}

#[tokio::test]
async fn a_job_that_was_asked_for_while_it_ran_runs_once_more() {
    let bench = Bench::new().await;
    let (running, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (handler, workers) = bench.worker(Plan::Wait {
        running: Arc::clone(&running),
        go: Arc::clone(&go),
    });
    bench.ask("a", Duration::ZERO).await;
    let run = tokio::spawn(async move { workers.run_due().await });
    running.notified().await;
    bench.ask("a", Duration::ZERO).await;
    go.notify_one();
    running.notified().await;
    go.notify_one();
    assert_eq!(run.await.unwrap().unwrap(), 2);
    assert_eq!(handler.attempts.load(Ordering::SeqCst), 2);
    assert!(bench.jobs().await.is_empty());
}

#[tokio::test]
async fn two_workers_never_take_the_same_job() {
    let bench = Bench::new().await;
    for n in 0..40 {
        bench.ask(&format!("{n:02}"), Duration::ZERO).await;
    }
    let (one, first) = bench.worker(Plan::Finish);
    let (two, second) = bench.worker(Plan::Finish);
    let (a, b) = tokio::join!(first.run_due(), second.run_due());
    assert_eq!(a.unwrap() + b.unwrap(), 40);
    assert_eq!(
        one.attempts.load(Ordering::SeqCst) + two.attempts.load(Ordering::SeqCst),
        40
    );
}

#[tokio::test]
async fn a_job_whose_worker_dies_each_time_ends_in_quarantine() {
    let bench = Bench::new().await;
    bench.ask("a", Duration::ZERO).await;
    for _ in 0..3 {
        let running = Arc::new(Notify::new());
        let (_, workers) = bench.worker(Plan::Hang(Arc::clone(&running)));
        let dying = tokio::spawn(async move { workers.run_due().await });
        running.notified().await;
        dying.abort();
        bench.clock.advance(Duration::from_secs(61));
    }
    let (handler, workers) = bench.worker(Plan::Finish);
    workers.run_due().await.unwrap();
    assert_eq!(handler.attempts.load(Ordering::SeqCst), 0);
    assert_eq!(
        bench.jobs().await,
        [("a".to_owned(), "quarantined".to_owned(), 4)]
    );
}

#[tokio::test]
async fn a_stop_gives_back_what_does_not_end_in_time_and_the_attempt_does_not_count() {
    let bench = Bench::new().await;
    let running = Arc::new(Notify::new());
    let (_, workers) = bench.worker(Plan::Hang(Arc::clone(&running)));
    bench.ask("a", Duration::ZERO).await;
    let stop = CancellationToken::new();
    let run = tokio::spawn({
        let stop = stop.clone();
        async move { workers.run(stop).await }
    });
    running.notified().await;
    stop.cancel();
    run.await.unwrap();
    assert_eq!(bench.jobs().await, [("a".to_owned(), "queued".to_owned(), 0)]);
}

/// One account's trouble never delays another's: its hanging jobs leave a worker for the others.
#[tokio::test]
async fn a_lane_that_hangs_leaves_room_for_the_others() {
    let bench = Bench::new().await;
    for key in ["a1", "a2", "a3"] {
        bench.ask_in(Some("account-a"), key, Duration::ZERO).await;
    }
    let running = Arc::new(Notify::new());
    let (handler, workers) = bench.worker(Plan::Hang(Arc::clone(&running)));
    let stop = CancellationToken::new();
    let run = tokio::spawn({
        let stop = stop.clone();
        async move { workers.run(stop).await }
    });
    running.notified().await;
    bench.ask_in(Some("account-b"), "b1", Duration::ZERO).await;
    running.notified().await;
    assert_eq!(
        handler.attempts.load(Ordering::SeqCst),
        2,
        "both workers are busy, one for each account"
    );
    let leased: Vec<_> = bench
        .jobs()
        .await
        .into_iter()
        .filter(|(_, status, _)| status == "leased")
        .collect();
    assert_eq!(
        leased.iter().map(|(key, ..)| key.as_str()).collect::<Vec<_>>(),
        ["a1", "b1"]
    );
    stop.cancel();
    run.await.unwrap();
}
