//! The calls of Zoom's REST API that this service makes (Zoom: Users API, Cloud Recording API).

mod answer;
mod error;
mod path;

pub mod passthrough;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::NaiveDate;
use domicile_egress::Client;
use domicile_kernel::{Clock, MeetingUuid, Secret, ZoomAccountId, ZoomUserId};
use http::{Method, Request, header};
use url::Url;

use crate::host::{ApiBase, ZoomHosts};
use crate::recording::MeetingRecording;
use crate::transport::{self, Answer, NoAnswer};

pub use error::{ApiError, codes};
pub use path::encode_meeting_uuid;

pub(crate) use error::from_answer;
pub(crate) use path::encode_segment;

// A page of 300 meetings with a hundred files each is the largest answer to expect.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;
const PAGE_SIZE: &str = "300";

/// Calls the API; each call says on whose behalf.
#[derive(Clone)]
pub struct ZoomApi {
    http: Client,
    hosts: Arc<ZoomHosts>,
    clock: Arc<dyn Clock>,
}

/// What is kept of a Zoom user: no name, no e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoomUser {
    /// The user.
    pub id: ZoomUserId,
    /// The account.
    pub account_id: ZoomAccountId,
    /// Where the account is hosted, such as `us04`; it does not say where recordings are stored.
    pub cluster: Option<String>,
}

/// Whose recordings to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRef {
    /// The user of the token, which a user-managed app must say.
    Me,
    /// A user of the account, which an admin-managed app must say.
    Id(ZoomUserId),
}

/// Which recordings to list. Zoom compares days, in UTC, with the start of the meeting, and takes a month at most.
#[derive(Clone)]
pub struct RecordingsQuery {
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// Where the page before ended; it lives 15 minutes.
    pub next_page_token: Option<Secret<String>>,
}

/// A page of recordings.
#[derive(Clone)]
pub struct RecordingsPage {
    /// What could be read.
    pub recordings: Vec<MeetingRecording>,
    /// How many could not, for want of a uuid or host.
    pub unreadable: usize,
    /// Where the next page begins, unless this was the last.
    pub next_page_token: Option<Secret<String>>,
}

impl ZoomApi {
    /// An API client. `hosts` is asked again at each call, since a base may come from a row that is older than the
    /// setting; and Zoom names the host, so addresses of private networks are never called.
    pub fn new(http: Client, hosts: Arc<ZoomHosts>, clock: Arc<dyn Clock>) -> Self {
        Self {
            http: http.for_foreign_urls(),
            hosts,
            clock,
        }
    }

    /// The hosts that a base and a download may use.
    pub fn hosts(&self) -> &ZoomHosts {
        &self.hosts
    }

    /// Whose token this is: `GET /users/me` (light).
    pub async fn users_me(&self, base: &ApiBase, token: &Secret<String>) -> Result<ZoomUser, ApiError> {
        let answer = self.get(base, "users/me", &[], token).await?;
        answer::user(&answer.body)
    }

    /// The recording of one meeting instance: `GET /meetings/{uuid}/recordings` (light). With a life for the token, Zoom
    /// also gives a `download_access_token` that opens the files for so long, a week at most.
    ///
    /// [`ApiError::NotFound`] with [`codes::NO_RECORDING`] also means "not yet".
    pub async fn meeting_recordings(
        &self,
        base: &ApiBase,
        token: &Secret<String>,
        uuid: &MeetingUuid,
        download_token_life: Option<Duration>,
    ) -> Result<MeetingRecording, ApiError> {
        const WEEK_SECONDS: u64 = 604_800;
        let path = format!("meetings/{}/recordings", encode_meeting_uuid(uuid));
        let life = download_token_life.map(|life| life.as_secs().min(WEEK_SECONDS).to_string());
        let query: Vec<(&str, &str)> = match &life {
            Some(life) => vec![("include_fields", "download_access_token"), ("ttl", life)],
            None => Vec::new(),
        };
        let answer = self.get(base, &path, &query, token).await?;
        answer::recording(&answer.body)
    }

    /// The recordings of a user: `GET /users/{id}/recordings` (medium), up to 300 a page.
    pub async fn list_user_recordings(
        &self,
        base: &ApiBase,
        token: &Secret<String>,
        user: &UserRef,
        query: &RecordingsQuery,
    ) -> Result<RecordingsPage, ApiError> {
        let user = match user {
            UserRef::Me => "me".to_owned(),
            UserRef::Id(id) => path::encode_segment(id.as_str()),
        };
        let (from, to) = (query.from.to_string(), query.to.to_string());
        let mut parameters = vec![("from", from.as_str()), ("to", &to), ("page_size", PAGE_SIZE)];
        if let Some(token) = &query.next_page_token {
            parameters.push(("next_page_token", token.expose()));
        }
        let answer = self
            .get(base, &format!("users/{user}/recordings"), &parameters, token)
            .await?;
        answer::recordings_page(&answer.body)
    }

    async fn get(
        &self,
        base: &ApiBase,
        path: &str,
        query: &[(&str, &str)],
        token: &Secret<String>,
    ) -> Result<Answer, ApiError> {
        let mut url =
            Url::parse(&format!("{}/v2/{path}", base.as_str())).map_err(|_| ApiError::NotARequest)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        if !self.hosts.allows(&url) {
            return Err(ApiError::HostNotAllowed);
        }
        let request = Request::builder()
            .method(Method::GET)
            .uri(url.as_str())
            .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
            .header(header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|_| ApiError::NotARequest)?;
        let answer = transport::send(&self.http, self.clock.as_ref(), request, MAX_ANSWER_BYTES)
            .await
            .map_err(|(NoAnswer::NotSent(cause) | NoAnswer::Lost(cause))| ApiError::Egress(cause))?;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(error::from_answer(&answer, self.clock.now()))
        }
    }
}

#[cfg(test)]
mod tests;
