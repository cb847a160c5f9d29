use std::future::{Future, Ready, ready};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use futures_util::FutureExt;
use tracing::Instrument;
use uuid::Uuid;

use super::connection::{self, Busy};
use super::headers::secure;
use super::line::{Line, client_kind, wants_page};
use super::{ClientKind, Guard, Settings, UPSTREAM};
use crate::context::{self, Context, RequestId};
use crate::problem::{self, Problem, ProblemError};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a [`Guard`] makes of an App's own service.
pub struct GuardService<S> {
    inner: Rc<S>,
    settings: Arc<Settings>,
}

impl<S, B> Transform<S, ServiceRequest> for Guard
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = GuardService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(GuardService {
            inner: Rc::new(service),
            settings: self.0.clone(),
        }))
    }
}

impl<S, B> Service<ServiceRequest> for GuardService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    fn poll_ready(&self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (inner, settings) = (self.inner.clone(), self.settings.clone());
        let request_id = RequestId::new(
            settings
                .ids
                .make::<Uuid>()
                .hyphenated()
                .encode_lower(&mut Uuid::encode_buffer()),
        );
        let context = Context {
            request_id: request_id.clone(),
            wants_page: wants_page(settings.listener, &request),
        };
        let line = Line::begin(&settings, &request, request_id);
        let span = line.span.clone();
        let busy = connection::begin(&request);
        let answering = answer(inner, settings, request, context.clone(), line, busy);
        Box::pin(context::scope(context, answering).instrument(span))
    }
}

async fn answer<S, B>(
    inner: Rc<S>,
    settings: Arc<Settings>,
    request: ServiceRequest,
    context: Context,
    line: Line,
    // Dropped once the answer is there.
    _busy: Option<Busy>,
) -> Result<ServiceResponse<BoxBody>, Error>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    request.extensions_mut().insert(context.request_id.clone());
    if let Some(host) = &settings.host
        && let Err(misdirected) = host.check(request.request())
    {
        let mut response = misdirected.error_response();
        finish(&settings, &context, response.headers_mut());
        line.answered(response.status().as_u16(), &ClientKind::Unknown);
        return Ok(request.into_response(response));
    }

    // A worker serves many connections; one handler's panic is one answer. What it left half done is in the database,
    // where transactions see to it.
    let outcome = AssertUnwindSafe(async move { inner.call(request).await })
        .catch_unwind()
        .await;
    let (mut response, client) = match outcome {
        Ok(Ok(response)) => {
            let client = client_kind(response.request(), context.wants_page);
            if let Some(error) = response.response().error() {
                line.failed(error, response.status().as_u16());
            }
            let mut response = with_problem(response);
            finish(&settings, &context, response.headers_mut());
            line.answered(response.status().as_u16(), &client);
            return Ok(response);
        }
        // Without a `ServiceRequest` there can be no `ServiceResponse`: actix sends the answer inside the error.
        Ok(Err(error)) => {
            let status = error.as_response_error().status_code();
            line.failed(&error, status.as_u16());
            let response = if error.as_error::<ProblemError>().is_some() {
                error.error_response()
            } else {
                problem_of(status)
                    .unwrap_or_else(|| ProblemError::new(Problem::Internal))
                    .error_response()
            };
            (response, client_of(&context))
        }
        Err(_panic) => {
            line.panicked();
            (
                ProblemError::new(Problem::Internal).error_response(),
                client_of(&context),
            )
        }
    };
    finish(&settings, &context, response.headers_mut());
    line.answered(response.status().as_u16(), &client);
    Err(InternalError::from_response("answered", response).into())
}

fn client_of(context: &Context) -> ClientKind {
    if context.wants_page {
        ClientKind::Browser
    } else {
        ClientKind::Unknown
    }
}

/// Replaces what the router and the HTTP library say of an error by the table's problem.
fn with_problem<B: MessageBody + 'static>(response: ServiceResponse<B>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    // What another service said is passed on as it is, without a body too.
    if response.headers().contains_key(UPSTREAM) {
        return response.map_into_boxed_body();
    }
    let empty = matches!(
        response.response().body().size(),
        BodySize::None | BodySize::Sized(0)
    );
    let foreign = response
        .response()
        .error()
        .is_some_and(|_| !is_ours(response.headers().get(header::CONTENT_TYPE)));
    if !failed || !(empty || foreign) {
        return response.map_into_boxed_body();
    }
    let Some(mut error) = problem_of(status) else {
        return response.map_into_boxed_body();
    };
    if let Some(allow) = response.headers().get(header::ALLOW) {
        error = error.header(header::ALLOW, allow.clone());
    }
    let (request, old) = response.into_parts();
    drop(old);
    ServiceResponse::new(request, HttpResponse::from_error(error))
}

fn is_ours(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_some_and(|value| {
        value.as_bytes().starts_with(problem::CONTENT_TYPE.as_bytes())
            || value.as_bytes().starts_with(b"text/html")
    })
}

/// The general problem of a status: the table lists it before its special cases. What Zoom alone can cause is general to
/// nothing.
fn problem_of(status: StatusCode) -> Option<ProblemError> {
    let zooms = [
        Problem::ZoomRejected,
        Problem::ZoomAnswerUnusable,
        Problem::ZoomAnswerLost,
    ];
    Problem::ALL
        .iter()
        .find(|problem| problem.status() == status && !zooms.contains(problem))
        .map(|problem| ProblemError::new(*problem))
}

fn finish(settings: &Settings, context: &Context, headers: &mut actix_web::http::header::HeaderMap) {
    let https = settings.host.as_ref().is_some_and(super::HostName::is_https);
    secure(headers, https);
    if let Ok(value) = HeaderValue::from_str(context.request_id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
}
