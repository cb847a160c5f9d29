//! The simulator without its sockets: what every page, endpoint and control operation works on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use domicile_kernel::{Clock, Rng, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::MovedClock;
use crate::model::fault::{About, FaultKind, Target};
use crate::state::{State, Store};
use crate::webhook::sender::WebhookSender;

/// The simulator's state and operations, the same as the control API's. Cheap to clone.
#[derive(Clone)]
pub struct Sim(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub clock: MovedClock,
    pub rng: Arc<dyn Rng>,
    pub store: Store,
    pub sender: Arc<dyn WebhookSender>,
    pub rules: Rules,
    pub urls: Urls,
    /// Where webhooks are sent from, so that a client that hangs up does not cut them.
    pub runtime: Handle,
    /// Ends slow answers when the simulator stops.
    pub stop: CancellationToken,
    pub calls: Mutex<Calls>,
    /// Told at the end of each attempt to send a webhook.
    pub attempted: Notify,
}

/// The second, and the calls in it, of each account and category.
type Calls = BTreeMap<(String, &'static str), (i64, u32)>;

/// Zoom's rules that a test or a demonstration may bend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub time_scale: f64,
    pub webhook_limit: Duration,
    pub restamp_retries: bool,
}

impl Rules {
    /// A wait of Zoom's, shortened by the time scale.
    pub(crate) fn scaled(&self, wait: TimeDelta) -> TimeDelta {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "a wait of hours in ms"
        )]
        let millis = (wait.num_milliseconds() as f64 / self.time_scale) as i64;
        TimeDelta::milliseconds(millis)
    }
}

/// Where the simulator is reached.
#[derive(Debug, Clone)]
pub(crate) struct Urls {
    pub base: Url,
    pub media: Url,
    pub control: Url,
}

impl Urls {
    /// The base without a slash at its end, as `api_url` stands in token answers.
    pub(crate) fn base_text(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    pub(crate) fn media_text(&self) -> &str {
        self.media.as_str().trim_end_matches('/')
    }
}

impl Sim {
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn rng(&self) -> &dyn Rng {
        self.0.rng.as_ref()
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        self.0.store.read(look)
    }

    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.0.store.update(change)
    }

    /// Takes one strike of a fault ordered for this, if any.
    pub(crate) fn take_fault(&self, target: Target, about: &About<'_>) -> Option<FaultKind> {
        if self.read(|state| state.faults.is_empty()) {
            return None;
        }
        self.update(|state| state.take_fault(target, about))
    }

    /// Waits in real time, or until the simulator stops.
    pub(crate) async fn wait(&self, time: Duration) {
        let _ = tokio::time::timeout(time, self.0.stop.cancelled()).await;
    }

    /// Counts a call of this account in this second, and says how many there were.
    pub(crate) fn count_call(&self, account_id: &str, category: &'static str) -> u32 {
        let second = self.now().timestamp();
        let mut calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = calls
            .entry((account_id.to_owned(), category))
            .or_insert((second, 0));
        if entry.0 != second {
            *entry = (second, 0);
        }
        entry.1 += 1;
        entry.1
    }
}
