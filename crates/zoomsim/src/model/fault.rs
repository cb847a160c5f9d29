//! Faults that are ordered before they happen.

use serde::{Deserialize, Serialize};
use url::Url;

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// `POST /oauth/token`.
    Token,
    /// `POST /oauth/revoke`.
    Revoke,
    /// `GET /v2/users/...`.
    Users,
    /// `GET /v2/meetings/{id}/recordings`.
    MeetingRecordings,
    /// `GET /v2/users/{id}/recordings`.
    UserRecordings,
    /// `DELETE` and `PUT` on recordings.
    ChangeRecordings,
    /// `GET /v2/meetings/{id}/transcript`.
    Transcript,
    /// `GET /v2/meetings/{id}` and `GET /v2/users/{id}/meetings`.
    Meetings,
    /// The manifest API: `/v2/marketplace/apps/...`.
    Marketplace,
    /// `POST /v2/im/chat/messages`.
    ChatSend,
    /// `PUT` and `DELETE /v2/im/chat/messages/{id}`.
    ChatChange,
    /// `POST /v2/im/chat/users/{user}/unfurls/{trigger}`.
    ChatUnfurl,
    /// `POST /v2/im/chat/callback/{id}`.
    ChatCallback,
    /// The first host of a download: `/rec/download` and `/rec/webhook_download`.
    Download,
    /// The second host of a download, to which the first redirects.
    Media,
    /// Events that the simulator sends.
    Webhook,
}

/// The form of a 429's `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfterForm {
    /// No header: the per-second limit.
    None,
    /// A number of seconds (RFC 9110, section 10.2.3).
    Seconds,
    /// An HTTP date (RFC 9110, section 5.6.7).
    HttpDate,
    /// An ISO 8601 date-time: Zoom's daily limit.
    IsoDateTime,
}

/// What goes wrong. The last six, those of deliveries, are for [`Target::Webhook`] only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum FaultKind {
    /// 429 with Zoom's body.
    RateLimited {
        /// The form of `Retry-After`.
        retry_after: RetryAfterForm,
        /// How long, for the forms that say so.
        #[serde(default = "one_minute")]
        seconds: u32,
    },
    /// 401 with code 124 (at the token endpoint: `invalid_client`; at a bot's calls: code 7010).
    Unauthorized,
    /// 403 (at a bot's calls: code 7004).
    Forbidden,
    /// 404 with code 3301 (at a bot's calls: 8001 or 8002).
    NotFound,
    /// A status of 500 or more; nothing is done.
    ServerError {
        /// The status.
        #[serde(default = "internal_error")]
        status: u16,
    },
    /// At the token endpoint: `invalid_grant`; nothing is done.
    InvalidGrant,
    /// The same with a number of Zoom's in `code`.
    InvalidGrantCode {
        /// Such as 4735, 4738 or 4741.
        code: u16,
    },
    /// The connection ends before anything is done.
    HangUp,
    /// The answer is right but late.
    Slow {
        /// By how many milliseconds of real time.
        millis: u64,
    },
    /// Everything is done, a refresh token is rotated, and the connection ends before the answer.
    LostAnswer,
    /// 200 with an HTML page in place of a file.
    HtmlPage,
    /// The download leads somewhere else.
    Redirected {
        /// The URL that the redirect names.
        to: String,
    },
    /// The body ends early.
    Truncated {
        /// After so many bytes.
        at_bytes: u64,
        /// True: with a whole Content-Length, so the connection breaks. False: without one, so only the length tells.
        #[serde(default = "yes")]
        content_length: bool,
    },
    /// The body stops for a while half way.
    Stalled {
        /// After so many bytes.
        at_bytes: u64,
        /// For so many milliseconds of real time.
        millis: u64,
    },
    /// The file comes without Content-Length.
    NoContentLength,
    /// At the second host: 403 unless the request carries `Authorization`.
    BearerDemanded,
    /// At the second host: 403 if the request carries `Authorization`.
    BearerRefused,
    /// The event is sent twice.
    DuplicateDelivery {
        /// True: with other download URLs, token and request id, as was seen. False: the same bytes and id again.
        #[serde(default)]
        fresh_urls: bool,
    },
    /// After the event, a second one for the same file ids, whose download URLs serve other bytes.
    DifferentBody,
    /// The event happened long ago: `event_ts` and the `download_token`'s expiry lie so far back.
    LateDelivery {
        /// By how many seconds; 25 hours make the token expired.
        #[serde(default = "a_day_and_an_hour")]
        seconds: u32,
    },
    /// The event is sent only when the clock has moved so far.
    HeldDelivery {
        /// By how many seconds.
        seconds: u32,
    },
    /// The event is never sent.
    LostDelivery,
    /// The event comes without `download_token`.
    NoDownloadToken,
}

fn one_minute() -> u32 {
    60
}

fn internal_error() -> u16 {
    500
}

fn a_day_and_an_hour() -> u32 {
    25 * 3600
}

fn yes() -> bool {
    true
}

fn once() -> u32 {
    1
}

/// An order: this fault, there, so many times, for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFault {
    /// Where.
    pub target: Target,
    /// What.
    pub fault: FaultKind,
    /// How many times; 1 if absent.
    #[serde(default = "once")]
    pub times: u32,
    /// Only for this app.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Only for this user: the token's owner, or the host of the recording.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Only for this meeting instance.
    #[serde(default)]
    pub meeting_uuid: Option<String>,
    /// Only for this file.
    #[serde(default)]
    pub file_id: Option<String>,
    /// Only for events of this name.
    #[serde(default)]
    pub event: Option<String>,
}

impl Target {
    /// True for the calls of bots, whose errors are their own.
    pub(crate) fn is_chat(self) -> bool {
        matches!(
            self,
            Self::ChatSend | Self::ChatChange | Self::ChatUnfurl | Self::ChatCallback
        )
    }
}

impl NewFault {
    /// This fault there, once, for everybody.
    pub fn once(target: Target, fault: FaultKind) -> Self {
        Self {
            target,
            fault,
            times: 1,
            client_id: None,
            user_id: None,
            meeting_uuid: None,
            file_id: None,
            event: None,
        }
    }

    /// So many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Only for this user.
    #[must_use]
    pub fn for_user(mut self, user_id: &str) -> Self {
        self.user_id = Some(user_id.to_owned());
        self
    }

    /// Only for this file.
    #[must_use]
    pub fn for_file(mut self, file_id: &str) -> Self {
        self.file_id = Some(file_id.to_owned());
        self
    }

    /// Only for events of this name.
    #[must_use]
    pub fn for_event(mut self, event: &str) -> Self {
        self.event = Some(event.to_owned());
        self
    }
}

/// An order that has not struck as often as it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Its id.
    pub id: u64,
    /// How often it will still strike.
    pub remaining: u32,
    /// The order.
    #[serde(flatten)]
    pub order: NewFault,
}

/// What a request or an event is about, to be held against the orders.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About<'a> {
    pub client_id: Option<&'a str>,
    pub user_id: Option<&'a str>,
    pub meeting_uuid: Option<&'a str>,
    pub file_ids: &'a [String],
    pub event: Option<&'a str>,
}

impl Fault {
    pub(crate) fn strikes(&self, target: Target, about: &About<'_>) -> bool {
        let order = &self.order;
        let wants =
            |wanted: Option<&String>, is: Option<&str>| wanted.is_none_or(|wanted| is == Some(wanted));
        order.target == target
            && wants(order.client_id.as_ref(), about.client_id)
            && wants(order.user_id.as_ref(), about.user_id)
            && wants(order.meeting_uuid.as_ref(), about.meeting_uuid)
            && wants(order.event.as_ref(), about.event)
            && order
                .file_id
                .as_ref()
                .is_none_or(|id| about.file_ids.contains(id))
    }
}

impl NewFault {
    /// Says what does not fit together.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let of_webhooks = matches!(
            self.fault,
            FaultKind::DuplicateDelivery { .. }
                | FaultKind::DifferentBody
                | FaultKind::LateDelivery { .. }
                | FaultKind::HeldDelivery { .. }
                | FaultKind::LostDelivery
                | FaultKind::NoDownloadToken
        );
        if of_webhooks != (self.target == Target::Webhook) {
            return Err("the faults of deliveries are for the target webhook, and only they");
        }
        let of_bodies = matches!(
            self.fault,
            FaultKind::Truncated { .. }
                | FaultKind::Stalled { .. }
                | FaultKind::NoContentLength
                | FaultKind::BearerDemanded
                | FaultKind::BearerRefused
        );
        if of_bodies && self.target != Target::Media {
            return Err("faults of a download's body are for the target media, which serves it");
        }
        if matches!(self.fault, FaultKind::HtmlPage | FaultKind::Redirected { .. })
            && !matches!(self.target, Target::Download | Target::Media)
        {
            return Err("an HTML page and a redirect are for the targets download and media");
        }
        if matches!(&self.fault, FaultKind::Redirected { to } if Url::parse(to).is_err()) {
            return Err("a redirect leads to a URL");
        }
        let of_grants = matches!(
            self.fault,
            FaultKind::InvalidGrant | FaultKind::InvalidGrantCode { .. }
        );
        if of_grants && self.target != Target::Token {
            return Err("invalid_grant is for the target token");
        }
        if matches!(self.fault, FaultKind::ServerError { status } if !(500..600).contains(&status)) {
            return Err("the status of a server error is 500 to 599");
        }
        if self.times == 0 {
            return Err("times must be 1 or more");
        }
        Ok(())
    }
}
