use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use bytes::Bytes;
use domicile_kernel::{Clock, Timestamp};
use domicile_zoom::authorization::RequiredHeader;
use domicile_zoom::challenge::{self, ChallengeAnswer};
use domicile_zoom::event::{Envelope, EventError, EventKind};
use domicile_zoom::signature::{
    HeaderError, REQUEST_ID_HEADER, SIGNATURE_HEADER, SignatureError, SignatureHeaders, Verified,
    WebhookSecrets, Window, verify,
};

use super::body::{self, BodyError};
use super::budget::{BodyBudget, Held};
use crate::context::RequestId;
use crate::guard::{ClientKind, Origin};
use crate::metrics::{Metrics, Refusal};
use crate::problem::{Problem, ProblemError};

/// No challenge of Zoom's is larger: its token has some twenty characters.
const LARGEST_CHALLENGE_BYTES: usize = 1024;

/// Whether events are taken in at this moment. Asked once a body has come, before it costs anything more.
pub trait Admission: Send + Sync {
    /// How long Zoom shall wait before it comes again; nothing: events are taken in.
    fn turned_away(&self) -> Option<Duration>;
}

/// How one of Zoom's endpoints verifies what it is sent. Put one into the `app_data` of each endpoint's own resource.
#[derive(Clone)]
pub struct ZoomEndpointVerifier {
    endpoint: &'static str,
    secrets: WebhookSecrets,
    required_header: Option<RequiredHeader>,
    window: Window,
    body_limit: usize,
    body_time: Duration,
    budget: BodyBudget,
    admission: Option<Arc<dyn Admission>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

/// A body that Zoom signed: raw, within the limit, within the window. There is no other way to make one.
///
/// As an extractor it takes challenges for events like any other; use [`ZoomRequest`] to have them answered.
pub struct VerifiedZoomRequest {
    /// The bytes that were signed.
    pub body: Bytes,
    // Its share of the budget, until it is answered.
    _held: Held,
    /// The endpoint's name, as the verifier has it.
    pub endpoint: &'static str,
    /// Which secret matched, and how old the signature is.
    pub verified: Verified,
    /// The smallest parse, done once. A signed body that cannot be read is kept all the same, with this reason.
    pub envelope: Result<Envelope, EventError>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// `x-zm-request-id`, for correlation only: the signature does not cover it (see the design's "Take in").
    pub zoom_request_id: Option<String>,
    /// The id under which the log knows this request.
    pub request_id: RequestId,
}

/// What Zoom wants.
pub enum ZoomRequest {
    /// To see that the secret is known here: answer 200 with this JSON, at once and without the database.
    Challenge(ChallengeAnswer),
    /// To tell something.
    Event(Box<VerifiedZoomRequest>),
}

impl ZoomEndpointVerifier {
    /// The largest body unless set otherwise; platform.md recommends no less.
    pub const DEFAULT_BODY_LIMIT_BYTES: usize = 1024 * 1024;
    /// The largest limit that may be set; platform.md recommends no more.
    pub const MAX_BODY_LIMIT_BYTES: usize = 10 * 1024 * 1024;
    /// How long a body may take unless set otherwise: Zoom itself gives up after three seconds.
    pub const DEFAULT_BODY_TIME: Duration = Duration::from_secs(3);

    /// What all bodies of an endpoint may hold together unless set otherwise, so that slow senders cannot fill the memory.
    pub const DEFAULT_BUDGET_BYTES: usize = 256 * 1024 * 1024;

    /// A verifier with the default window and limits. The name goes into metrics and rows: `events`, `bot`.
    pub fn new(endpoint: &'static str, secrets: WebhookSecrets, clock: Arc<dyn Clock>) -> Self {
        let metrics = Metrics::global();
        metrics.start_at_zero(endpoint);
        Self {
            endpoint,
            secrets,
            required_header: None,
            window: Window::default(),
            body_limit: Self::DEFAULT_BODY_LIMIT_BYTES,
            body_time: Self::DEFAULT_BODY_TIME,
            budget: BodyBudget::new(Self::DEFAULT_BUDGET_BYTES),
            admission: None,
            clock,
            metrics,
        }
    }

    /// The same, and every request must have this header too, events and challenges alike. Without it, whatever the
    /// subscription adds is ignored.
    #[must_use]
    pub fn required_header(mut self, header: Option<RequiredHeader>) -> Self {
        self.required_header = header;
        self
    }

    /// The same with another window.
    #[must_use]
    pub fn window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// The same with another limit for the body, in bytes.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// The same with another limit for the time that the body takes.
    #[must_use]
    pub fn body_time(mut self, time: Duration) -> Self {
        self.body_time = time;
        self
    }

    /// The same with another bound on all bodies that are held at one time; beyond it the answer is 503.
    #[must_use]
    pub fn budget(mut self, budget: BodyBudget) -> Self {
        self.budget = budget;
        self
    }

    /// The same, and while events are turned away, they are not verified either: under a storm of repetitions, what is
    /// refused must not take the time of what is kept. Challenges are answered all the same.
    #[must_use]
    pub fn admission(mut self, admission: Arc<dyn Admission>) -> Self {
        self.admission = Some(admission);
        self
    }

    /// The endpoint's name.
    pub fn endpoint(&self) -> &'static str {
        self.endpoint
    }

    async fn read(
        &self,
        request: &HttpRequest,
        payload: Payload,
        held: &mut Held,
    ) -> Result<Bytes, ProblemError> {
        if request.method() != Method::POST {
            return Err(ProblemError::new(Problem::MethodNotAllowed)
                .header(header::ALLOW, header::HeaderValue::from_static("POST")));
        }
        // Before the body: whoever lacks it gets no memory here.
        if let Some(required) = &self.required_header {
            required
                .check(values(request, required.name()))
                .map_err(|error| self.refuse(Refusal::RequiredHeader, Problem::Unauthenticated, error))?;
        }
        body::read(request, payload, self.body_limit, self.body_time, held)
            .await
            .map_err(|error| match error {
                // Zoom's connection failed, not Zoom's request: only a 5xx makes it try again.
                BodyError::TooSlow | BodyError::Broken => {
                    self.metrics.refused(self.endpoint, Refusal::BodyLost);
                    Problem::Unavailable.into_error("The body did not arrive whole in time.")
                }
                BodyError::NoRoom => {
                    self.metrics.refused(self.endpoint, Refusal::NoRoom);
                    BodyError::NoRoom.into_problem(self.body_limit)
                }
                BodyError::TooLarge => {
                    self.metrics.refused(self.endpoint, Refusal::TooLarge);
                    BodyError::TooLarge.into_problem(self.body_limit)
                }
                BodyError::Encoded => {
                    self.metrics.refused(self.endpoint, Refusal::Encoded);
                    BodyError::Encoded.into_problem(self.body_limit)
                }
            })
    }

    fn verify(
        &self,
        request: &HttpRequest,
        headers: Result<SignatureHeaders, HeaderError>,
        (body, held): (Bytes, Held),
    ) -> Result<VerifiedZoomRequest, ProblemError> {
        let headers = headers.map_err(|error| self.refuse_headers(error))?;
        let received_at = self.clock.now();
        let verified = verify(&headers, &self.secrets, &body, received_at, self.window)
            .map_err(|error| self.refuse_signature(error))?;
        self.metrics.verified(self.endpoint, verified);
        if let Some(client) = request.extensions_mut().get_mut::<ClientKind>() {
            client.prove_zoom();
        }
        Ok(VerifiedZoomRequest {
            envelope: Envelope::parse(&body),
            body,
            _held: held,
            endpoint: self.endpoint,
            verified,
            received_at,
            zoom_request_id: zoom_request_id(request),
            request_id: request
                .extensions()
                .get::<RequestId>()
                .cloned()
                .unwrap_or_else(|| RequestId::new("-")),
        })
    }

    fn refuse_headers(&self, error: HeaderError) -> ProblemError {
        let (refusal, problem) = match error {
            HeaderError::Missing(_) => (Refusal::Missing, Problem::Unauthenticated),
            HeaderError::Duplicated(_) => (Refusal::Duplicated, Problem::MalformedRequest),
            HeaderError::Malformed(_) => (Refusal::Malformed, Problem::MalformedRequest),
        };
        self.refuse(refusal, problem, error)
    }

    // The words of these errors are fixed: nothing of the request is in them.
    fn refuse(&self, refusal: Refusal, problem: Problem, error: impl std::fmt::Display) -> ProblemError {
        self.metrics.refused(self.endpoint, refusal);
        problem.into_error(error.to_string())
    }

    fn refuse_signature(&self, error: SignatureError) -> ProblemError {
        let refusal = match error {
            SignatureError::Mismatch => Refusal::Mismatch,
            SignatureError::Stale { .. } => Refusal::Stale,
            SignatureError::Future { .. } => Refusal::Future,
        };
        self.refuse(refusal, Problem::Unauthenticated, error)
    }

    fn answer(&self, body: &[u8], secret_index: usize) -> Option<Result<ZoomRequest, ProblemError>> {
        let token = challenge::parse(body)?;
        Some(match token {
            Ok(token) => {
                self.metrics.challenged(self.endpoint);
                let answer = self.secrets.get_or_first(secret_index).answer(&token);
                Ok(ZoomRequest::Challenge(answer))
            }
            Err(error) => Err(self.refuse(Refusal::PlainToken, Problem::MalformedRequest, error)),
        })
    }

    async fn request(&self, request: &HttpRequest, payload: Payload) -> Result<ZoomRequest, ProblemError> {
        let mut held = self.budget.begin();
        let body = self.read(request, payload, &mut held).await?;
        if body.len() > LARGEST_CHALLENGE_BYTES
            && let Some(retry_after) = self
                .admission
                .as_ref()
                .and_then(|admission| admission.turned_away())
        {
            self.metrics.refused(self.endpoint, Refusal::TurnedAway);
            return Err(ProblemError::new(Problem::Unavailable).retry_after(retry_after));
        }
        // Sources disagree on whether Zoom signs its challenge, so one without any sign of a signature is answered too.
        // A body that is no challenge, or that has half of a signature, is not.
        if SignatureHeaders::absent(|name| values(request, name)) {
            return self
                .answer(&body, 0)
                .unwrap_or_else(|| Err(self.refuse_headers(HeaderError::Missing(SIGNATURE_HEADER))));
        }
        let headers = SignatureHeaders::from_headers(|name| values(request, name));
        let event = self.verify(request, headers, (body, held))?;
        let challenged =
            matches!(&event.envelope, Ok(envelope) if envelope.kind() == EventKind::UrlValidation);
        if challenged && let Some(answer) = self.answer(&event.body, event.verified.secret_index) {
            return answer;
        }
        Ok(ZoomRequest::Event(Box::new(event)))
    }
}

fn values<'a>(request: &'a HttpRequest, name: &str) -> impl Iterator<Item = &'a [u8]> {
    request.headers().get_all(name).map(header::HeaderValue::as_bytes)
}

// Anybody may send it, so only what Zoom's look like gets into rows and logs.
fn zoom_request_id(request: &HttpRequest) -> Option<String> {
    let text = request.headers().get(REQUEST_ID_HEADER)?.to_str().ok()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    ((1..=64).contains(&text.len()) && text.bytes().all(plain)).then(|| text.to_owned())
}

fn verifier(request: &HttpRequest) -> Result<web::Data<ZoomEndpointVerifier>, ProblemError> {
    // The line tells whence it came, whatever becomes of it.
    let origin = Origin::of(request.headers());
    request
        .extensions_mut()
        .insert(ClientKind::AtZoomEndpoint(origin));
    request
        .app_data::<web::Data<ZoomEndpointVerifier>>()
        .cloned()
        // 500: Zoom tries again, and by then it may be repaired.
        .ok_or_else(|| ProblemError::internal("the endpoint's verifier is not among its app data"))
}

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, ProblemError>>>>;

impl FromRequest for VerifiedZoomRequest {
    type Error = ProblemError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let verifier = verifier(&request)?;
            let mut held = verifier.budget.begin();
            let body = verifier.read(&request, payload, &mut held).await?;
            let headers = SignatureHeaders::from_headers(|name| values(&request, name));
            verifier.verify(&request, headers, (body, held))
        })
    }
}

impl FromRequest for ZoomRequest {
    type Error = ProblemError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { verifier(&request)?.request(&request, payload).await })
    }
}

#[cfg(test)]
mod tests;
