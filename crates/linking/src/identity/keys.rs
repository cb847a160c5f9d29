//! The app's keys as they are known now: fetched, kept for a while, and never asked for too often.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use domicile_egress::{Client, Timeouts};
use domicile_kernel::{Clock, Timestamp};
use http::{Request, StatusCode, header};
use tokio::sync::Mutex;
use tracing::{Instrument, debug, warn};
use url::Url;

use super::error::{IdentityError, JwksError};
use super::jwks::KeySet;
use crate::metrics::METRICS;

/// Keys are fetched again when they are this old, so that a key which the app has withdrawn is soon refused.
pub const JWKS_MAX_AGE: TimeDelta = TimeDelta::minutes(10);
/// While the app's keys cannot be fetched, those that are known are used until they are this old.
pub const JWKS_OUTAGE_LIMIT: TimeDelta = TimeDelta::hours(1);
/// After a fetch, the least time until an unknown key id causes another: key ids are anybody's text.
pub const JWKS_REFRESH_INTERVAL: TimeDelta = TimeDelta::seconds(30);
/// The same after a fetch that failed.
pub const JWKS_RETRY_INTERVAL: TimeDelta = TimeDelta::seconds(5);
/// For the client that fetches: a person waits meanwhile.
pub const JWKS_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(3),
    read: Duration::from_secs(5),
    total: Some(Duration::from_secs(5)),
};

/// No set of keys is larger, in bytes.
const MAX_JWKS_BYTES: usize = 256 * 1024;

/// The app's keys.
pub(super) struct AppKeys {
    inner: Arc<Inner>,
}

struct Inner {
    url: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
    /// Held by the one fetch that is under way.
    flight: Arc<Mutex<()>>,
}

#[derive(Default)]
struct State {
    known: Option<Arc<KnownKeys>>,
    attempt: Option<Attempt>,
}

/// The last fetch.
struct Attempt {
    at: Timestamp,
    outcome: Result<(), Arc<JwksError>>,
}

/// Keys and when they were asked for.
pub(super) struct KnownKeys {
    set: KeySet,
    fetched_at: Timestamp,
}

impl KnownKeys {
    pub(super) fn set(&self) -> &KeySet {
        &self.set
    }

    /// True while they are younger than this. Keys from a time to come, by a clock that was set back, are not.
    fn is_younger_than(&self, limit: TimeDelta, now: Timestamp) -> bool {
        (TimeDelta::zero()..limit).contains(&(now - self.fetched_at))
    }
}

impl State {
    fn fresh(&self, now: Timestamp) -> Option<&Arc<KnownKeys>> {
        self.younger_than(JWKS_MAX_AGE, now)
    }

    fn younger_than(&self, limit: TimeDelta, now: Timestamp) -> Option<&Arc<KnownKeys>> {
        self.known
            .as_ref()
            .filter(|known| known.is_younger_than(limit, now))
    }

    fn may_attempt(&self, now: Timestamp) -> bool {
        let Some(attempt) = &self.attempt else { return true };
        let wait = match attempt.outcome {
            Ok(()) => JWKS_REFRESH_INTERVAL,
            Err(_) => JWKS_RETRY_INTERVAL,
        };
        !(TimeDelta::zero()..wait).contains(&(now - attempt.at))
    }

    /// Why there are no keys, or no newer ones.
    fn failure(&self) -> Option<IdentityError> {
        let outcome = &self.attempt.as_ref()?.outcome;
        let error = outcome.as_ref().err()?;
        Some(IdentityError::KeysUnavailable(Arc::clone(error)))
    }
}

impl AppKeys {
    pub(super) fn new(url: Url, client: Client, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner: Arc::new(Inner {
                url,
                client,
                clock,
                state: RwLock::default(),
                flight: Arc::default(),
            }),
        }
    }

    /// Keys that are young enough, or in an outage the last ones for a while.
    pub(super) async fn current(&self) -> Result<Arc<KnownKeys>, IdentityError> {
        let now = self.inner.clock.now();
        if let Some(fresh) = self.inner.read(|state| state.fresh(now).cloned()) {
            return Ok(fresh);
        }
        self.refresh_where(|state, now| state.fresh(now).is_none()).await;
        let now = self.inner.clock.now();
        self.inner.read(|state| {
            state
                .younger_than(JWKS_OUTAGE_LIMIT, now)
                .cloned()
                .ok_or_else(|| state.failure().unwrap_or_else(interrupted))
        })
    }

    /// Keys that were fetched after these, if it is time to fetch again; else these, which are then the newest.
    pub(super) async fn newer_than(&self, old: &Arc<KnownKeys>) -> Result<Arc<KnownKeys>, IdentityError> {
        self.refresh_where(|state, _| state.known.as_ref().is_none_or(|known| Arc::ptr_eq(known, old)))
            .await;
        self.inner.read(|state| match (&state.known, state.failure()) {
            (Some(known), failure) if failure.is_none() || !Arc::ptr_eq(known, old) => Ok(Arc::clone(known)),
            (_, failure) => Err(failure.unwrap_or_else(interrupted)),
        })
    }

    /// Fetches once for all who wait. The fetch goes on when the caller's connection breaks: whoever hangs up must not be
    /// able to keep the keys from others.
    async fn refresh_where(&self, wanted: impl Fn(&State, Timestamp) -> bool) {
        let flight = Arc::clone(&self.inner.flight).lock_owned().await;
        let now = self.inner.clock.now();
        let begun = self.inner.write(|state| {
            let begun = wanted(state, now) && state.may_attempt(now);
            if begun {
                state.attempt = Some(Attempt {
                    at: now,
                    outcome: Err(Arc::new(JwksError::Interrupted)),
                });
            }
            begun
        });
        if !begun {
            return;
        }
        let inner = Arc::clone(&self.inner);
        let fetching = async move {
            let fetched = inner.fetch().await;
            inner.settle(fetched, now);
            drop(flight);
        };
        // Its only failure is a panic, and then the attempt stays one that did not end.
        let _ = tokio::spawn(fetching.in_current_span()).await;
    }
}

impl Inner {
    async fn fetch(&self) -> Result<KeySet, JwksError> {
        let request = Request::get(self.url.as_str())
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .body(Bytes::new())
            .map_err(|_| JwksError::Request)?;
        let response = self.client.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(JwksError::Status(response.status().as_u16()));
        }
        KeySet::parse(&response.bytes_limited(MAX_JWKS_BYTES).await?)
    }

    fn settle(&self, fetched: Result<KeySet, JwksError>, asked_at: Timestamp) {
        let (known, outcome) = match fetched {
            Ok(set) => {
                debug!("the app's keys were fetched");
                METRICS.jwks_fetch("fetched");
                let known = KnownKeys {
                    set,
                    fetched_at: asked_at,
                };
                (Some(Arc::new(known)), Ok(()))
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                warn!(error = %error, cause, "the app's keys could not be fetched");
                METRICS.jwks_fetch("failed");
                (None, Err(Arc::new(error)))
            }
        };
        self.write(|state| {
            // In an outage the last keys go on for a while.
            state.known = known.or_else(|| state.known.take());
            state.attempt = Some(Attempt {
                at: asked_at,
                outcome,
            });
        });
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Another fetch is under way, or the one before was broken off.
fn interrupted() -> IdentityError {
    IdentityError::KeysUnavailable(Arc::new(JwksError::Interrupted))
}
