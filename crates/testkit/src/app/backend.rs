//! The App API as the app's backend calls it.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use domicile_egress::{Client, EgressError, Response};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use url::Url;

use super::settings::AppApi;

/// No JSON answer of the App API is larger.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Calls the App API of one region.
pub(super) struct Backend {
    api: RwLock<Option<AppApi>>,
    client: Client,
}

/// Why a call brought nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// No App API was named yet.
    NotConfigured,
    /// No answer came.
    NoAnswer(EgressError),
    /// The region said no (RFC 9457).
    Problem(Problem),
    /// The answer is not what the contract says.
    Unreadable,
}

/// A problem document, as far as a person wants to know it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    /// Which kind: `urn:domicile:problem:link_exists`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: u16,
    pub(super) title: String,
    pub(super) detail: Option<String>,
    pub(super) request_id: Option<String>,
}

impl Failure {
    /// The status of the problem, if there is one.
    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Problem(problem) => StatusCode::from_u16(problem.status).ok(),
            _ => None,
        }
    }
}

impl Failure {
    /// True when the subject, or the Zoom user, is connected to another already.
    pub(super) fn is_link_exists(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.kind == "urn:domicile:problem:link_exists")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("This app has not been told where its region is."),
            Self::NoAnswer(error) => write!(f, "The region did not answer: {error}."),
            Self::Unreadable => {
                f.write_str("The region answered something that this app does not understand.")
            }
            Self::Problem(problem) => {
                let words = problem.detail.as_ref().unwrap_or(&problem.title);
                write!(f, "The region says: {}.", words.trim_end_matches('.'))?;
                if let Some(id) = &problem.request_id {
                    write!(f, " Reference: {id}.")?;
                }
                Ok(())
            }
        }
    }
}

impl From<EgressError> for Failure {
    fn from(error: EgressError) -> Self {
        Self::NoAnswer(error)
    }
}

/// What becomes of a connection that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// It stays, and the new one is refused.
    Keeping,
    /// The new one takes its place.
    Replacing,
}

/// What `POST /v1/connect-sessions` answers.
#[derive(Debug, Deserialize)]
pub(super) struct ConnectSession {
    pub(super) connect_url: Url,
}

/// A link between the subject and a Zoom user.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) zoom: ZoomIds,
    #[serde(default)]
    pub(super) created_at: String,
    /// Why Zoom asks for consent again.
    #[serde(default)]
    pub(super) reauthorization_reason: Option<String>,
    /// What the user did not allow, and what does not work without it.
    #[serde(default)]
    pub(super) missing_scopes: Vec<MissingScope>,
}

impl Link {
    pub(super) fn is_active(&self) -> bool {
        self.status == "active"
    }

    pub(super) fn needs_reauthorization(&self) -> bool {
        self.status == "needs_reauthorization"
    }

    /// True until it is disconnected.
    pub(super) fn is_live(&self) -> bool {
        self.is_active() || self.needs_reauthorization()
    }
}

/// A scope of the Zoom app that is not granted.
#[derive(Debug, Deserialize)]
pub(super) struct MissingScope {
    pub(super) scope: String,
    #[serde(default)]
    pub(super) disables: Option<String>,
}

/// Zoom's own ids.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ZoomIds {
    pub(super) account_id: Option<String>,
    pub(super) user_id: Option<String>,
}

/// One meeting's recording.
#[derive(Debug, Deserialize)]
pub(super) struct Recording {
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) meeting: Meeting,
    #[serde(default)]
    pub(super) files: Vec<File>,
}

/// The meeting that was recorded.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Meeting {
    pub(super) topic: Option<String>,
    pub(super) started_at: Option<String>,
}

/// One file of a recording.
#[derive(Debug, Deserialize)]
pub(super) struct File {
    pub(super) id: String,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) extension: Option<String>,
    pub(super) status: String,
    #[serde(default)]
    pub(super) size_bytes: Option<u64>,
    #[serde(default)]
    pub(super) sha256: Option<String>,
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) next_cursor: Option<String>,
}

impl Backend {
    pub(super) fn new(api: Option<AppApi>) -> Self {
        let egress = domicile_egress::testing::loopback();
        Self {
            api: RwLock::new(api),
            client: egress.client("demo_app", domicile_egress::testing::TIMEOUTS),
        }
    }

    /// Names the App API.
    pub(super) fn set(&self, api: AppApi) {
        *self.api.write().unwrap_or_else(PoisonError::into_inner) = Some(api);
    }

    /// Begins to connect the subject; an existing connection gives way only to [`Begin::Replacing`].
    pub(super) async fn begin(
        &self,
        subject: &str,
        return_url: &Url,
        how: Begin,
    ) -> Result<ConnectSession, Failure> {
        let mut body = json!({ "subject": subject, "return_url": return_url });
        if how == Begin::Replacing {
            body["replace"] = true.into();
        }
        self.json(Method::POST, &["connect-sessions"], &[], Some(body))
            .await
    }

    /// Ends what [`begin`](Self::begin) began, for the subject of the session that came back.
    pub(super) async fn confirm(&self, ticket: &str, subject: &str) -> Result<Link, Failure> {
        let body = json!({ "ticket": ticket, "subject": subject });
        self.json(Method::POST, &["connect-sessions", "confirm"], &[], Some(body))
            .await
    }

    /// The subject's links.
    pub(super) async fn links(&self, subject: &str) -> Result<Page<Link>, Failure> {
        self.json(Method::GET, &["links"], &[("subject", subject)], None)
            .await
    }

    /// One link, if it is the subject's; another's is as if it were not there.
    pub(super) async fn link(&self, id: &str, subject: &str) -> Result<Option<Link>, Failure> {
        let found = self.json::<Link>(Method::GET, &["links", id], &[], None).await;
        match found {
            Ok(link) => Ok((link.subject == subject).then_some(link)),
            Err(failure) if failure.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Ends a link; one that is gone already is ended too.
    pub(super) async fn disconnect(&self, id: &str) -> Result<(), Failure> {
        let request = self.request(Method::DELETE, &["links", id], &[], Bytes::new())?;
        let response = self.client.send(request).await?;
        if response.status().is_success() || response.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        Err(problem_of(response).await)
    }

    /// A page of the subject's recordings.
    pub(super) async fn recordings(
        &self,
        subject: &str,
        cursor: Option<&str>,
    ) -> Result<Page<Recording>, Failure> {
        let mut query = vec![("subject", subject)];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        self.json(Method::GET, &["recordings"], &query, None).await
    }

    /// One recording, if it is the subject's; another's is as if it were not there.
    pub(super) async fn recording(&self, id: &str, subject: &str) -> Result<Option<Recording>, Failure> {
        let found = self
            .json::<Recording>(Method::GET, &["recordings", id], &[], None)
            .await;
        match found {
            Ok(recording) => Ok((recording.subject == subject).then_some(recording)),
            Err(failure) if failure.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// A file's bytes, with the browser's own conditions and range. Every status but a refusal is an answer.
    pub(super) async fn content(
        &self,
        recording_id: &str,
        file_id: &str,
        conditions: HeaderMap,
    ) -> Result<Response, Failure> {
        let path = ["recordings", recording_id, "files", file_id, "content"];
        let mut request = self.request(Method::GET, &path, &[], Bytes::new())?;
        request.headers_mut().extend(conditions);
        let response = self.client.send(request).await?;
        match response.status() {
            StatusCode::OK
            | StatusCode::PARTIAL_CONTENT
            | StatusCode::NOT_MODIFIED
            | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
            _ => Err(problem_of(response).await),
        }
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<serde_json::Value>,
    ) -> Result<T, Failure> {
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let request = self.request(method, path, query, body)?;
        let response = self.client.send(request).await?;
        if !response.status().is_success() {
            return Err(problem_of(response).await);
        }
        let bytes = response.bytes_limited(MAX_ANSWER_BYTES).await?;
        serde_json::from_slice(&bytes).map_err(|_| Failure::Unreadable)
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Request<Bytes>, Failure> {
        let api = self.api.read().unwrap_or_else(PoisonError::into_inner).clone();
        let api = api.ok_or(Failure::NotConfigured)?;
        let mut url = api.url;
        if let Ok(mut segments) = url.path_segments_mut() {
            // Segments are escaped one by one: an id from a browser's URL cannot leave its place.
            segments.pop_if_empty().push("v1").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut key = HeaderValue::from_str(&format!("Bearer {}", api.key.expose()))
            .map_err(|_| Failure::NotConfigured)?;
        key.set_sensitive(true);
        let mut request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::AUTHORIZATION, key);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(body).map_err(|_| Failure::Unreadable)
    }
}

async fn problem_of(response: Response) -> Failure {
    let status = response.status();
    let bytes = response.bytes_limited(64 * 1024).await.unwrap_or_default();
    let mut problem: Problem = serde_json::from_slice(&bytes).unwrap_or_default();
    problem.status = status.as_u16();
    if problem.title.is_empty() {
        status.to_string().clone_into(&mut problem.title);
    }
    Failure::Problem(problem)
}
