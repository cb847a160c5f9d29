//! Handing what was kept to those who act on it.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domicile_kernel::{Ids, InboxId, Timestamp};
use domicile_store::inbox::INBOX_CHANNEL;
use domicile_store::{Conn, Db, StoreError};
use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span, error, info, info_span, warn};

use crate::endpoint::Endpoint;
use crate::metrics::METRICS;
use crate::ports::{AccountEvent, AccountEventHandler, EventHandler, LinkRouter, RoutedEvent};
use crate::reason::QuarantineReason;
use crate::retention;
use crate::settings::DispatchSettings;
use crate::store::{self, PendingRow};

/// How long a loop waits for a wake-up before it looks again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often depth and age are measured.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(15);

/// Collects handlers for a [`Dispatcher`].
pub struct DispatcherBuilder {
    db: Db,
    ids: Ids,
    router: Arc<dyn LinkRouter>,
    settings: DispatchSettings,
    client_ids: Vec<String>,
    handlers: Vec<Arc<dyn EventHandler>>,
    account_handlers: Vec<Arc<dyn AccountEventHandler>>,
}

impl DispatcherBuilder {
    /// Adds a handler for its event types. Several may take the same type; they all do, or none.
    #[must_use]
    pub fn handler(mut self, handler: Arc<dyn EventHandler>) -> Self {
        self.handlers.push(handler);
        self
    }

    /// Adds a handler that needs no link. It takes an event besides the handlers that do.
    #[must_use]
    pub fn account_handler(mut self, handler: Arc<dyn AccountEventHandler>) -> Self {
        self.account_handlers.push(handler);
        self
    }

    /// The Marketplace apps whose events these are; events that name another are quarantined. Without one, none are.
    #[must_use]
    pub fn client_ids(mut self, client_ids: Vec<String>) -> Self {
        self.client_ids = client_ids;
        self
    }

    /// Other settings than the default.
    #[must_use]
    pub fn settings(mut self, settings: DispatchSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Ready to run.
    pub fn build(self) -> Dispatcher {
        METRICS.start_at_zero();
        let mut by_event_type: HashMap<String, Vec<Arc<dyn EventHandler>>> = HashMap::new();
        for handler in &self.handlers {
            for event_type in handler.event_types() {
                let handlers = by_event_type.entry((*event_type).to_owned()).or_default();
                handlers.push(Arc::clone(handler));
            }
        }
        Dispatcher {
            inner: Arc::new(Inner {
                db: self.db,
                ids: self.ids,
                router: self.router,
                settings: self.settings,
                client_ids: self.client_ids,
                handlers: by_event_type,
                account_handlers: self.account_handlers,
                wake: Notify::new(),
            }),
        }
    }
}

/// Hands each pending row of the inbox to the handlers of its event type, once. Any number of processes may run one.
#[derive(Clone)]
pub struct Dispatcher {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    ids: Ids,
    router: Arc<dyn LinkRouter>,
    settings: DispatchSettings,
    client_ids: Vec<String>,
    handlers: HashMap<String, Vec<Arc<dyn EventHandler>>>,
    account_handlers: Vec<Arc<dyn AccountEventHandler>>,
    wake: Notify,
}

/// Who takes an event.
struct Takers<'a> {
    /// With the link that it belongs to: those who need one.
    routed: Option<(RoutedEvent, &'a [Arc<dyn EventHandler>])>,
    /// Those who need none.
    by_account: Option<(AccountEvent, Vec<&'a Arc<dyn AccountEventHandler>>)>,
}

impl Takers<'_> {
    async fn take(&self, conn: &mut Conn) -> Result<(), StoreError> {
        if let Some((event, handlers)) = &self.routed {
            for handler in *handlers {
                handler.take(conn, event).await?;
            }
        }
        if let Some((event, handlers)) = &self.by_account {
            for handler in handlers {
                handler.take(conn, event).await?;
            }
        }
        Ok(())
    }
}

/// What was done with one row.
#[derive(Clone, Copy)]
enum Outcome {
    Dispatched,
    Postponed,
    Quarantined(QuarantineReason),
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Dispatched => "dispatched",
            Self::Postponed => "postponed",
            Self::Quarantined(_) => "quarantined",
        }
    }
}

impl Dispatcher {
    /// Starts to collect handlers.
    pub fn builder(db: Db, ids: Ids, router: Arc<dyn LinkRouter>) -> DispatcherBuilder {
        DispatcherBuilder {
            db,
            ids,
            router,
            settings: DispatchSettings::default(),
            client_ids: Vec::new(),
            handlers: Vec::new(),
            account_handlers: Vec::new(),
        }
    }

    /// Runs until `stop` is cancelled; the rows that are being dispatched then are finished first.
    pub async fn run(&self, stop: CancellationToken) {
        let tracker = TaskTracker::new();
        for _ in 0..self.inner.settings.concurrency {
            tracker.spawn(Arc::clone(&self.inner).dispatch_loop(stop.clone()));
        }
        tracker.spawn(Arc::clone(&self.inner).listen(stop.clone()));
        tracker.spawn(Arc::clone(&self.inner).sample(stop.clone()));
        let retention = self.inner.settings.retention;
        let (db, clock) = (self.inner.db.clone(), Arc::clone(self.inner.ids.clock()));
        tracker.spawn(async move { retention::run(&db, &clock, retention, stop).await });
        tracker.close();
        tracker.wait().await;
        info!("the dispatcher has ended");
    }

    /// Dispatches every row that is due now, one after another, and returns how many were looked at. Tests move the
    /// clock and call it.
    pub async fn run_due(&self) -> Result<usize, StoreError> {
        let mut looked_at = 0;
        loop {
            match self.inner.dispatch_due().await? {
                0 => return Ok(looked_at),
                rows => looked_at += rows,
            }
        }
    }
}

impl Dispatcher {
    /// Deletes every row that was kept long enough and returns how many there were. [`Dispatcher::run`] does it every ten
    /// minutes; tests move the clock and call it.
    pub async fn delete_old(&self) -> Result<usize, StoreError> {
        let now = self.inner.ids.clock().now();
        retention::delete(&self.inner.db, now, self.inner.settings.retention).await
    }
}

impl Inner {
    async fn dispatch_loop(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            // Interest is registered before looking, so a wake-up in between is not lost.
            let woken = self.wake.notified();
            match self.dispatch_due().await {
                Ok(1..) => {}
                Ok(0) => {
                    let _ = timeout(POLL_INTERVAL, stop.run_until_cancelled(woken)).await;
                }
                Err(error) => {
                    warn!(%error, "the inbox could not be dispatched; it is tried again");
                    // A wake-up says nothing of the fault, so only the stop ends this wait early.
                    let _ = timeout(POLL_INTERVAL, stop.cancelled()).await;
                }
            }
        }
    }

    /// Takes the rows that are due, as many as one transaction should hold, and says how many there were.
    async fn dispatch_due(&self) -> Result<usize, StoreError> {
        let taken = self
            .db
            .run_tx("dispatch_events", async |conn: &mut Conn| {
                let now = self.ids.clock().now();
                let rows = store::lock_due(conn, now, self.settings.batch_rows).await?;
                let outcomes = self.dispatch_all(conn, &rows, now).await?;
                let taken: Vec<_> = rows.into_iter().zip(outcomes).collect();
                self.finish(conn, &taken, now).await?;
                Ok::<_, StoreError>(taken)
            })
            .await?;
        // Only what was committed is counted.
        for (row, outcome) in &taken {
            METRICS.dispatched(self.label(row), outcome.as_str());
            if let Outcome::Quarantined(reason) = *outcome {
                METRICS.quarantined(reason);
                warn!(inbox.id = %row.id, reason = reason.as_str(), "an event is in quarantine");
            }
        }
        Ok(taken.len())
    }

    /// Writes down what became of the rows; what failed was written down when it did.
    async fn finish(
        &self,
        conn: &mut Conn,
        taken: &[(PendingRow, Outcome)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut dispatched = Vec::new();
        let mut quarantined: HashMap<QuarantineReason, Vec<InboxId>> = HashMap::new();
        for (row, outcome) in taken {
            match outcome {
                Outcome::Dispatched => dispatched.push(row.id),
                // Spent: its failures are counted already.
                Outcome::Postponed | Outcome::Quarantined(QuarantineReason::HandlerFailed) => {}
                Outcome::Quarantined(reason) => quarantined.entry(*reason).or_default().push(row.id),
            }
        }
        if !dispatched.is_empty() {
            store::dispatched(conn, &dispatched, now).await?;
        }
        for (reason, ids) in quarantined {
            store::quarantine(conn, &ids, reason, now).await?;
        }
        Ok(())
    }

    /// The event type if it is one that we know: a name that anybody may choose makes no label.
    fn label<'a>(&self, row: &'a PendingRow) -> &'a str {
        row.event_type
            .as_deref()
            .filter(|event_type| {
                self.handlers.contains_key(*event_type)
                    || self
                        .account_handlers
                        .iter()
                        .any(|handler| handler.event_types().contains(event_type))
            })
            .unwrap_or("other")
    }

    fn account_handlers(&self, endpoint: Endpoint, event_type: &str) -> Vec<&Arc<dyn AccountEventHandler>> {
        let takes = |handler: &&Arc<dyn AccountEventHandler>| {
            handler.endpoint() == Some(endpoint) || handler.event_types().contains(&event_type)
        };
        self.account_handlers.iter().filter(takes).collect()
    }

    /// All rows under one savepoint, since handlers hardly ever fail; if one does, once more and each row by itself.
    async fn dispatch_all(
        &self,
        conn: &mut Conn,
        rows: &[PendingRow],
        now: Timestamp,
    ) -> Result<Vec<Outcome>, StoreError> {
        store::begin_savepoint(conn).await?;
        match self.dispatch_together(conn, rows).await {
            Ok(Some(outcomes)) => {
                store::release_savepoint(conn).await?;
                return Ok(outcomes);
            }
            Ok(None) => store::undo_to_savepoint(conn).await?,
            Err(error) => {
                store::undo_to_savepoint(conn).await?;
                return Err(error);
            }
        }
        let mut outcomes = Vec::with_capacity(rows.len());
        for row in rows {
            let dispatch = self.dispatch_alone(conn, row, now);
            outcomes.push(dispatch.instrument(self.span(row)).await?);
        }
        Ok(outcomes)
    }

    /// Nothing where a handler failed, which fails the transaction for all of them.
    async fn dispatch_together(
        &self,
        conn: &mut Conn,
        rows: &[PendingRow],
    ) -> Result<Option<Vec<Outcome>>, StoreError> {
        let mut outcomes = Vec::with_capacity(rows.len());
        for row in rows {
            let dispatch = async {
                match self.route(conn, row).await? {
                    Ok(takers) => Ok(hand_over(conn, &takers).await.ok().map(|()| Outcome::Dispatched)),
                    Err(reason) => Ok::<_, StoreError>(Some(Outcome::Quarantined(reason))),
                }
            };
            match dispatch.instrument(self.span(row)).await? {
                Some(outcome) => outcomes.push(outcome),
                None => return Ok(None),
            }
        }
        Ok(Some(outcomes))
    }

    async fn dispatch_alone(
        &self,
        conn: &mut Conn,
        row: &PendingRow,
        now: Timestamp,
    ) -> Result<Outcome, StoreError> {
        let takers = match self.route(conn, row).await? {
            Ok(takers) => takers,
            Err(reason) => return Ok(Outcome::Quarantined(reason)),
        };
        // A handler that fails must take neither the note of its failure nor its neighbours down with it.
        store::begin_savepoint(conn).await?;
        match hand_over(conn, &takers).await {
            Ok(()) => {
                store::release_savepoint(conn).await?;
                return Ok(Outcome::Dispatched);
            }
            Err(Some(failure)) => {
                warn!(inbox.id = %row.id, error = %Chain(&failure), "a handler could not take an event");
            }
            // A panic's text may hold anything, so it is not shown here.
            Err(None) => error!(inbox.id = %row.id, "a handler panicked over an event"),
        }
        // If the connection is gone this fails too, and then the row was not at fault and stays as it was.
        store::undo_to_savepoint(conn).await?;
        self.note_failure(conn, row, now).await
    }

    fn span(&self, row: &PendingRow) -> Span {
        let span = info_span!("dispatch", inbox.id = %row.id, event_type = self.label(row));
        if let Some(traceparent) = &row.traceparent {
            domicile_telemetry::set_parent(&span, traceparent);
        }
        span
    }

    /// Finds the link and the handlers, or says why nobody can take the event.
    async fn route(
        &self,
        conn: &mut Conn,
        row: &PendingRow,
    ) -> Result<Result<Takers<'_>, QuarantineReason>, StoreError> {
        let foreign =
            |client_id: &String| !self.client_ids.is_empty() && !self.client_ids.contains(client_id);
        if row.zoom_client_id.as_ref().is_some_and(foreign) {
            return Ok(Err(QuarantineReason::WrongApp));
        }
        let Some(event_type) = &row.event_type else {
            return Ok(Err(QuarantineReason::UnknownEvent));
        };
        let by_link = self.handlers.get(event_type);
        let by_account = self.account_handlers(row.endpoint, event_type);
        if by_link.is_none() && by_account.is_empty() {
            return Ok(Err(QuarantineReason::UnknownEvent));
        }
        let Some(account) = &row.zoom_account_id else {
            return Ok(Err(QuarantineReason::NoAccount));
        };
        let traceparent = domicile_telemetry::current_traceparent().or_else(|| row.traceparent.clone());
        let user = row.zoom_user_id.as_ref();
        let routed = match by_link {
            None => None,
            Some(handlers) => {
                let link = self.router.route(conn, account, user).await?;
                link.map(|link| {
                    let event = RoutedEvent {
                        inbox_id: row.id,
                        event_type: event_type.clone(),
                        link_id: link.link_id,
                        subject: link.subject,
                        zoom_account_id: account.clone(),
                        traceparent: traceparent.clone(),
                    };
                    (event, handlers.as_slice())
                })
            }
        };
        let by_account = (!by_account.is_empty()).then(|| {
            let event = AccountEvent {
                inbox_id: row.id,
                endpoint: row.endpoint,
                event_type: event_type.clone(),
                zoom_account_id: account.clone(),
                zoom_user_id: user.cloned(),
                traceparent,
            };
            (event, by_account)
        });
        if routed.is_none() && by_account.is_none() {
            return Ok(Err(QuarantineReason::UnknownAccount));
        }
        Ok(Ok(Takers { routed, by_account }))
    }

    async fn note_failure(
        &self,
        conn: &mut Conn,
        row: &PendingRow,
        now: Timestamp,
    ) -> Result<Outcome, StoreError> {
        let attempts = row.attempts.saturating_add(1);
        let reason = QuarantineReason::HandlerFailed;
        if attempts >= self.settings.max_attempts {
            store::quarantine_spent(conn, row.id, reason, attempts, now).await?;
            return Ok(Outcome::Quarantined(reason));
        }
        let attempt = u32::try_from(attempts).unwrap_or(1);
        let delay = self
            .settings
            .backoff
            .delay(attempt, None, self.ids.rng().as_ref());
        let due_at = now + TimeDelta::from_std(delay).unwrap_or(TimeDelta::MAX);
        store::postpone(conn, row.id, reason, attempts, due_at).await?;
        Ok(Outcome::Postponed)
    }

    async fn listen(self: Arc<Self>, stop: CancellationToken) {
        domicile_store::listen(self.db.settings(), INBOX_CHANNEL, stop, |_| {
            self.wake.notify_waiters();
        })
        .await;
    }

    async fn sample(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.measure().await {
                warn!(%error, "the inbox could not be measured");
            }
            let _ = timeout(SAMPLE_INTERVAL, stop.cancelled()).await;
        }
    }

    async fn measure(&self) -> Result<(), StoreError> {
        let mut conn = self.db.conn().await?;
        let now = self.ids.clock().now();
        let age = |since: Timestamp| (now - since).to_std().unwrap_or_default().as_secs_f64();
        let (rows, oldest) = store::pending_statistics(&mut conn).await?;
        METRICS.pending(rows, oldest.map_or(0.0, age));
        METRICS.in_quarantine(&store::quarantine_statistics(&mut conn).await?);
        for (endpoint, kind, at) in store::last_sightings(&mut conn).await? {
            if let Some(at) = at {
                METRICS.silence(endpoint, kind, age(at));
            }
        }
        Ok(())
    }
}

/// The failure of a handler; none where it panicked.
async fn hand_over(conn: &mut Conn, takers: &Takers<'_>) -> Result<(), Option<StoreError>> {
    match AssertUnwindSafe(takers.take(conn)).catch_unwind().await {
        Ok(taken) => taken.map_err(Some),
        Err(_) => Err(None),
    }
}

/// An error with its causes, for the log.
struct Chain<'a>(&'a StoreError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
