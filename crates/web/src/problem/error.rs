use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;

use super::{CONTENT_TYPE, Document, Problem};
use crate::context;
use crate::page;

/// What is wrong with one member of a body, one parameter of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where: `subject`, `files[3].id`.
    pub field: String,
    /// What, as a sentence without the value.
    pub message: String,
}

/// The wait that is named where a problem is worth a retry and nobody knows better.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// A problem on its way to the caller: public words outside, cause inside.
///
/// `Display` shows kind and detail, `source` the cause; the caller sees the cause never. Write no secret, no id of
/// another customer and no text of another service into `detail`.
pub struct ProblemError(Box<Inner>);

struct Inner {
    problem: Problem,
    detail: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl ProblemError {
    /// A problem of this kind, with the table's words.
    pub fn new(problem: Problem) -> Self {
        Self(Box::new(Inner {
            problem,
            detail: None,
            errors: Vec::new(),
            retry_after: None,
            headers: Vec::new(),
            cause: None,
        }))
    }

    /// Something that went wrong here, with its cause for the log.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Problem::Internal).cause(cause)
    }

    /// A value that is not valid.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Problem::ValidationFailed).field(field, message)
    }

    /// Says what happened in this case, to the caller.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds a value that is not valid.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.errors.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// Says how long to wait, in `Retry-After`. Fractions of a second are rounded up.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds a header, such as `Content-Range` to a range that cannot be served.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Keeps why, for the log alone.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The kind.
    pub fn problem(&self) -> Problem {
        self.0.problem
    }

    /// What was said to the caller beyond the kind.
    pub fn detail_text(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The values that are not valid.
    pub fn field_errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    fn wait(&self) -> Option<Duration> {
        let needed = matches!(
            self.0.problem.status(),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        );
        self.0.retry_after.or(needed.then_some(DEFAULT_RETRY_AFTER))
    }

    fn json(&self) -> HttpResponse {
        let problem = self.0.problem;
        self.builder().content_type(CONTENT_TYPE).json(Document {
            type_uri: problem.type_uri(),
            title: problem.title(),
            status: problem.status().as_u16(),
            detail: self.0.detail.as_deref(),
            errors: &self.0.errors,
            retryable: problem.is_retryable(),
            request_id: context::request_id().map(|id| id.to_string()),
        })
    }

    fn builder(&self) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(self.0.problem.status());
        // An answer that tells of a fault is nobody's to keep.
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(wait) = self.wait() {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        for header in &self.0.headers {
            response.append_header(header.clone());
        }
        response
    }

    fn page(&self) -> HttpResponse {
        let problem = self.0.problem;
        let reference = context::request_id().map(|id| id.to_string());
        let words = page::words_for(problem);
        let happened = self.0.detail.as_deref().unwrap_or(words.happened);
        let markup = page::error_markup(words.title, happened, words.cure, reference.as_deref());
        page::write(&mut self.builder(), &markup)
    }
}

impl Problem {
    /// A problem of this kind with its detail.
    pub fn into_error(self, detail: impl Into<Cow<'static, str>>) -> ProblemError {
        ProblemError::new(self).detail(detail)
    }
}

impl From<Problem> for ProblemError {
    fn from(problem: Problem) -> Self {
        Self::new(problem)
    }
}

impl fmt::Display for ProblemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.detail {
            Some(detail) => write!(f, "{}: {detail}", self.0.problem.id()),
            None => f.write_str(self.0.problem.id()),
        }
    }
}

impl fmt::Debug for ProblemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProblemError")
            .field("problem", &self.0.problem)
            .field("detail", &self.0.detail)
            .field("errors", &self.0.errors)
            .field("cause", &self.0.cause)
            .finish_non_exhaustive()
    }
}

impl StdError for ProblemError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .cause
            .as_deref()
            .map(|cause| cause as &(dyn StdError + 'static))
    }
}

impl ResponseError for ProblemError {
    fn status_code(&self) -> StatusCode {
        self.0.problem.status()
    }

    fn error_response(&self) -> HttpResponse {
        if context::wants_page() {
            self.page()
        } else {
            self.json()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use serde_json::{Value, json};

    async fn sent(error: &ProblemError) -> (HttpResponse, Value) {
        let (response, body) = error.error_response().into_parts();
        let body = to_bytes(body).await.unwrap();
        (
            response.set_body(actix_web::body::BoxBody::new(())),
            serde_json::from_slice(&body).unwrap(),
        )
    }

    #[actix_web::test]
    async fn the_document_has_the_members_of_rfc_9457_and_ours() {
        let error = ProblemError::invalid("subject", "is missing").field("files[0].id", "is not known");
        let (response, document) = sent(&error).await;
        assert_eq!(response.status(), 422);
        assert_eq!(
            response.headers().get(header::CONTENT_TYPE).unwrap(),
            CONTENT_TYPE
        );
        assert_eq!(
            document,
            json!({
                "type": "urn:domicile:problem:validation_failed",
                "title": "Some of the values are not valid",
                "status": 422,
                "errors": [
                    {"field": "subject", "message": "is missing"},
                    {"field": "files[0].id", "message": "is not known"},
                ],
                "retryable": false,
            })
        );
    }

    #[actix_web::test]
    async fn the_cause_is_for_the_log_alone() {
        let error =
            ProblemError::internal(std::io::Error::other("PLANTED")).detail("The storage does not answer.");
        let (_, document) = sent(&error).await;
        assert!(!document.to_string().contains("PLANTED"));
        assert_eq!(document["detail"], "The storage does not answer.");
        assert!(!error.to_string().contains("PLANTED"));
        assert_eq!(
            error.source().map(ToString::to_string).as_deref(),
            Some("PLANTED")
        );
    }

    #[actix_web::test]
    async fn what_may_be_tried_again_says_when() {
        for (error, seconds) in [
            (ProblemError::new(Problem::Unavailable), Some("5")),
            (
                ProblemError::new(Problem::ZoomUnavailable).retry_after(Duration::from_secs(90)),
                Some("90"),
            ),
            (
                ProblemError::new(Problem::RateLimited).retry_after(Duration::from_millis(1001)),
                Some("2"),
            ),
            (
                ProblemError::new(Problem::NotReady).retry_after(Duration::from_secs(3)),
                Some("3"),
            ),
            (ProblemError::new(Problem::NotFound), None),
        ] {
            let (response, _) = sent(&error).await;
            let header = response
                .headers()
                .get(header::RETRY_AFTER)
                .map(|value| value.to_str().unwrap());
            assert_eq!(header, seconds, "{error}");
        }
    }

    #[actix_web::test]
    async fn a_range_that_cannot_be_served_names_the_length() {
        let error = ProblemError::new(Problem::RangeNotSatisfiable)
            .header(header::CONTENT_RANGE, HeaderValue::from_static("bytes */100"));
        let (response, _) = sent(&error).await;
        assert_eq!(response.status(), 416);
        assert_eq!(
            response.headers().get(header::CONTENT_RANGE).unwrap(),
            "bytes */100"
        );
    }
}
