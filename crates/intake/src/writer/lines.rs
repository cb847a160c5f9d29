//! The writer's connections.

use std::sync::Arc;
use std::time::Duration;

use domicile_store::inbox::InboxLine;
use domicile_store::{DbSettings, StoreError};
use tokio::time::{Instant, timeout};

/// How long opening a connection may take.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// After a connection beside others could not be opened, none is for this long: the server may have no more to give.
const NO_MORE_FOR: Duration = Duration::from_secs(5);

/// All connections. The first is opened by whoever needs it; another one beside it is opened before anybody is given it, so that
/// a server which has no more to give fails nobody.
pub(super) struct Lines {
    db: Arc<DbSettings>,
    max: usize,
    idle: Vec<InboxLine>,
    /// How many are in somebody's hands.
    taken: usize,
    opening: bool,
    none_before: Option<Instant>,
}

impl Lines {
    pub(super) fn new(db: DbSettings, max: usize) -> Self {
        Self {
            db: Arc::new(db),
            max,
            idle: Vec::new(),
            taken: 0,
            opening: false,
            none_before: None,
        }
    }

    /// True when [`Lines::take`] has one.
    pub(super) fn has_one(&self) -> bool {
        !self.idle.is_empty() || self.taken == 0
    }

    /// One that is free or, where nobody has any, one that opens itself.
    pub(super) fn take(&mut self) -> Option<Line> {
        let open = self.idle.pop();
        if open.is_none() && self.taken > 0 {
            return None;
        }
        self.taken += 1;
        Some(Line {
            db: Arc::clone(&self.db),
            open,
        })
    }

    /// The one that has been free for longest.
    pub(super) fn idle(&self) -> Option<&InboxLine> {
        self.idle.first()
    }

    /// Every one that was taken comes back, if only as nothing.
    pub(super) fn give_back(&mut self, line: Option<InboxLine>) {
        self.taken = self.taken.saturating_sub(1);
        self.idle.extend(line.filter(|line| !line.is_closed()));
    }

    /// When another one may be opened; nothing: one is free, or none may be.
    pub(super) fn opens_at(&self, wanted_at: Instant) -> Option<Instant> {
        let may = self.idle.is_empty() && !self.opening && self.taken < self.max;
        may.then(|| self.none_before.map_or(wanted_at, |before| before.max(wanted_at)))
    }

    /// Opens another one; what comes of it goes to [`Lines::opened`].
    pub(super) fn open(&mut self) -> impl Future<Output = Option<InboxLine>> + Send + 'static {
        self.opening = true;
        let db = Arc::clone(&self.db);
        async move { open(&db).await.ok() }
    }

    pub(super) fn opened(&mut self, line: Option<InboxLine>) {
        self.opening = false;
        self.none_before = line.is_none().then(|| Instant::now() + NO_MORE_FOR);
        self.idle.extend(line);
    }

    /// Forgets those that are free.
    pub(super) fn clear(&mut self) {
        self.idle.clear();
    }
}

/// A connection, opened when it is needed.
pub(super) struct Line {
    db: Arc<DbSettings>,
    pub(super) open: Option<InboxLine>,
}

impl Line {
    /// The connection; a new one if the last is gone.
    pub(super) async fn get(&mut self) -> Result<&InboxLine, StoreError> {
        if self.open.as_ref().is_none_or(InboxLine::is_closed) {
            self.open = None;
            self.open = Some(open(&self.db).await?);
        }
        self.open
            .as_ref()
            .ok_or_else(|| StoreError::Unavailable("no connection".into()))
    }
}

async fn open(db: &DbSettings) -> Result<InboxLine, StoreError> {
    match timeout(OPEN_TIMEOUT, InboxLine::open(db)).await {
        Ok(opened) => opened,
        Err(_) => Err(StoreError::Unavailable("no connection in time".into())),
    }
}
