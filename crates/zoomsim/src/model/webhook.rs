//! The webhook log: what was sent, how often, and what came back.

use domicile_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

/// Where the sending of one event to one subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum DeliveryState {
    /// To be sent, at first or again.
    Pending {
        /// When the next attempt is due.
        next_attempt_at: Timestamp,
    },
    /// A 2xx came back.
    Delivered,
    /// Any other answer below 500 came back: final, never retried.
    Refused,
    /// Four attempts failed: dropped for good.
    Exhausted,
    /// The subscription is disabled: not sent.
    Suppressed,
    /// A `lost_delivery` fault: not sent.
    Lost,
}

/// What came back from one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptResult {
    /// An answer with this status.
    Status(u16),
    /// No answer within three seconds (Zoom's internal code -1).
    TimedOut,
    /// No connection (Zoom's internal code -2).
    ConnectionRefused,
    /// The connection ended before the answer.
    Broken,
    /// The simulator may not call that URL: not loopback.
    NotAllowed,
}

impl AttemptResult {
    /// True for any 2xx.
    pub fn is_delivered(self) -> bool {
        matches!(self, Self::Status(200..=299))
    }

    /// True for what Zoom sends again: 5xx, time-outs, refused and broken connections.
    pub fn is_retried(self) -> bool {
        match self {
            Self::Status(status) => status >= 500,
            Self::TimedOut | Self::ConnectionRefused | Self::Broken => true,
            Self::NotAllowed => false,
        }
    }
}

/// One attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attempt {
    /// When it was sent, by the simulator's clock.
    pub at: Timestamp,
    /// What came back.
    pub result: AttemptResult,
}

/// How an event is signed; the wrong ways are for tests of receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum SignatureMode {
    /// As Zoom signs.
    #[default]
    Good,
    /// With another secret.
    WrongSecret,
    /// Over another body than the one sent.
    TamperedBody,
    /// No signature header.
    Missing,
}

/// One event to one subscription, with all attempts.
#[derive(Clone, Serialize, Deserialize)]
pub struct WebhookDelivery {
    /// The row in the log.
    pub id: u64,
    /// `x-zm-request-id`: the same at each attempt.
    pub request_id: String,
    /// `x-zm-trackingid`.
    pub tracking_id: String,
    /// The app.
    pub client_id: String,
    /// The subscription.
    pub subscription_id: String,
    /// Where to.
    pub url: Url,
    /// The event's name.
    pub event: String,
    /// The exact body.
    pub body: String,
    /// How it is signed.
    pub signature: SignatureMode,
    /// Seconds added to `x-zm-request-timestamp`; 0 but for tests.
    pub timestamp_offset_seconds: i64,
    /// The signed timestamp of the first attempt, unix seconds.
    pub first_timestamp: Option<i64>,
    /// When the event was made.
    pub created_at: Timestamp,
    /// Where it stands.
    #[serde(flatten)]
    pub state: DeliveryState,
    /// What was tried.
    pub attempts: Vec<Attempt>,
    #[serde(skip)]
    pub(crate) in_flight: bool,
}
