//! Sending: one attempt, what its answer means, and what is due (platform: retries).

use std::pin::pin;

use bytes::Bytes;
use chrono::TimeDelta;
use domicile_kernel::Timestamp;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::control::ControlError;
use crate::model::webhook::{Attempt, AttemptResult, DeliveryState, WebhookDelivery};
use crate::sim::Sim;
use crate::state::State;
use crate::webhook::sender::{WebhookAnswer, WebhookRequest};
use crate::webhook::sign;

/// Minutes between attempts: 5 after the first, 20 after that, 60 after that.
const WAITS_MINUTES: [i64; 3] = [5, 20, 60];

/// What a look for due work did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunDue {
    /// Webhook attempts made.
    pub attempts: usize,
    /// Challenges sent.
    pub challenges: usize,
}

impl Sim {
    /// Makes every attempt and challenge that is due by the clock.
    pub async fn run_due(&self) -> RunDue {
        let mut done = RunDue::default();
        loop {
            let now = self.now();
            let deliveries = self.read(|state| due_deliveries(state, now));
            let challenges = self.update(|state| self.take_due_challenges(state, now));
            if deliveries.is_empty() && challenges.is_empty() {
                return done;
            }
            done.attempts += deliveries.len();
            done.challenges += challenges.len();
            self.send_now(&deliveries).await;
            let sim = self.clone();
            let sent = self.0.runtime.spawn(async move {
                join_all(challenges.iter().map(|id| sim.challenge_saved(id))).await;
            });
            let _ = sent.await;
        }
    }

    /// Sends every waiting event now, whatever its due time: retries without moving the clock.
    pub async fn retry_now(&self) -> RunDue {
        let ids: Vec<u64> = self.read(|state| {
            let waiting = state.deliveries.iter().filter(|row| !row.in_flight);
            waiting
                .filter(|row| matches!(row.state, DeliveryState::Pending { .. }))
                .map(|row| row.id)
                .collect()
        });
        self.force(&ids);
        self.send_now(&ids).await;
        RunDue {
            attempts: ids.len(),
            challenges: 0,
        }
    }

    /// Sends a request of the log once more, whatever became of it: the same id and bytes, as after an answer that Zoom
    /// did not get.
    pub async fn redeliver(&self, id: u64) -> Result<WebhookDelivery, ControlError> {
        let find = |state: &State| state.deliveries.iter().find(|row| row.id == id).cloned();
        self.read(find).ok_or(ControlError::UnknownDelivery)?;
        self.force(&[id]);
        self.send_now(&[id]).await;
        self.read(find).ok_or(ControlError::UnknownDelivery)
    }

    /// Moves the clock forward, stopping at each due time on the way so that the schedule is kept.
    pub async fn advance(&self, by: TimeDelta) -> RunDue {
        let target = self.now() + by;
        let mut done = RunDue::default();
        while let Some(next) = self.read(next_due).filter(|next| *next <= target) {
            self.move_clock(next - self.now());
            let ran = self.run_due().await;
            done.attempts += ran.attempts;
            done.challenges += ran.challenges;
            if ran == RunDue::default() {
                break;
            }
        }
        self.move_clock(target - self.now());
        done
    }

    fn move_clock(&self, by: TimeDelta) {
        if by > TimeDelta::zero() {
            let ahead = self.0.clock.advance(by);
            self.update(|state| state.clock_ahead_ms = ahead.num_milliseconds());
        }
    }

    fn force(&self, ids: &[u64]) {
        let now = self.now();
        self.update(|state| {
            for row in state.deliveries.iter_mut().filter(|row| ids.contains(&row.id)) {
                row.state = DeliveryState::Pending { next_attempt_at: now };
            }
        });
    }

    /// Tries each of these once, if it is due. A caller that goes away does not cut the sending.
    pub(crate) async fn send_now(&self, ids: &[u64]) {
        if ids.is_empty() {
            return;
        }
        let (sim, ids) = (self.clone(), ids.to_vec());
        let sent = self.0.runtime.spawn(async move {
            join_all(ids.iter().map(|id| sim.attempt(*id))).await;
        });
        let _ = sent.await;
    }

    async fn attempt(&self, id: u64) {
        let Some((request, at)) = self.update(|state| self.prepare(state, id)) else {
            return self.attempted(id).await;
        };
        let answer = self.post(request).await;
        let result = AttemptResult::from(&answer);
        tracing::debug!(delivery = id, ?result, "webhook attempt");
        self.update(|state| {
            let Some(row) = state.delivery_mut(id) else { return };
            row.in_flight = false;
            row.attempts.push(Attempt { at, result });
            row.state = if result.is_delivered() {
                DeliveryState::Delivered
            } else if !result.is_retried() {
                DeliveryState::Refused
            } else if let Some(minutes) = WAITS_MINUTES.get(row.attempts.len() - 1) {
                let wait = self.0.rules.scaled(TimeDelta::minutes(*minutes));
                DeliveryState::Pending {
                    next_attempt_at: at + wait,
                }
            } else {
                DeliveryState::Exhausted
            };
        });
        self.0.attempted.notify_waiters();
    }

    /// Waits for the end of an attempt that others make, such as the look at what is due, which may have been quicker.
    async fn attempted(&self, id: u64) {
        let wait = async {
            loop {
                let mut attempted = pin!(self.0.attempted.notified());
                attempted.as_mut().enable();
                let in_flight = |state: &State| {
                    let mut rows = state.deliveries.iter();
                    rows.any(|row| row.id == id && row.in_flight)
                };
                if !self.read(in_flight) {
                    return;
                }
                attempted.await;
            }
        };
        // No attempt takes longer.
        let _ = tokio::time::timeout(self.0.rules.webhook_limit, wait).await;
    }

    pub(crate) async fn post(&self, request: WebhookRequest) -> WebhookAnswer {
        let limit = self.0.rules.webhook_limit;
        let sent = tokio::time::timeout(limit, self.0.sender.send(request, limit));
        sent.await.unwrap_or(WebhookAnswer::TimedOut)
    }

    fn prepare(&self, state: &mut State, id: u64) -> Option<(WebhookRequest, Timestamp)> {
        let now = self.now();
        let row = state.delivery_mut(id)?;
        let DeliveryState::Pending { next_attempt_at } = row.state else {
            return None;
        };
        if row.in_flight || next_attempt_at > now {
            return None;
        }
        let subscription_id = row.subscription_id.clone();
        let subscription = state
            .subscription_mut(&subscription_id)
            .map(|it| (it.enabled, it.secret_token.clone()));
        let row = state.delivery_mut(id)?;
        let Some((true, secret)) = subscription else {
            row.state = DeliveryState::Suppressed;
            return None;
        };
        let fresh = now.timestamp() + row.timestamp_offset_seconds;
        let timestamp = match row.first_timestamp {
            Some(first) if !self.0.rules.restamp_retries => first,
            _ => fresh,
        };
        row.first_timestamp.get_or_insert(timestamp);
        row.in_flight = true;
        let headers = sign::headers(
            &secret,
            row.signature,
            timestamp,
            row.body.as_bytes(),
            &row.request_id,
            &row.tracking_id,
            self.rng(),
        );
        let body = Bytes::from(row.body.clone());
        Some((
            WebhookRequest {
                url: row.url.clone(),
                headers,
                body,
            },
            now,
        ))
    }
}

impl From<&WebhookAnswer> for AttemptResult {
    fn from(answer: &WebhookAnswer) -> Self {
        match answer {
            WebhookAnswer::Answered { status, .. } => Self::Status(*status),
            WebhookAnswer::TimedOut => Self::TimedOut,
            WebhookAnswer::ConnectionRefused => Self::ConnectionRefused,
            WebhookAnswer::Broken => Self::Broken,
            WebhookAnswer::NotAllowed => Self::NotAllowed,
        }
    }
}

fn due_deliveries(state: &State, now: Timestamp) -> Vec<u64> {
    let due = state.deliveries.iter().filter(|row| {
        !row.in_flight
            && matches!(row.state, DeliveryState::Pending { next_attempt_at } if next_attempt_at <= now)
    });
    due.map(|row| row.id).collect()
}

/// The next time at which there is something to do.
fn next_due(state: &State) -> Option<Timestamp> {
    let attempts = state
        .deliveries
        .iter()
        .filter(|row| !row.in_flight)
        .filter_map(|row| match row.state {
            DeliveryState::Pending { next_attempt_at } => Some(next_attempt_at),
            _ => None,
        });
    let challenges = state.endpoints();
    let challenges = challenges.filter(|it| it.enabled).map(|it| it.next_challenge_at);
    attempts.chain(challenges).min()
}
