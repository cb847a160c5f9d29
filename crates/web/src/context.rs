//! What is known of the request that is being answered, where no `HttpRequest` is at hand: in an error on its way out.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

tokio::task_local! {
    static CURRENT: Context;
}

/// The id of one request: in its line of the log, in its problem or page, in the header `x-request-id`. An extractor too;
/// outside of a [`Guard`](crate::guard::Guard) it is `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    pub(crate) fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// As text: 1 to 64 of `[A-Za-z0-9._-]`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromRequest for RequestId {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.extensions().get::<Self>().cloned();
        ready(Ok(id.unwrap_or_else(|| Self::new("-"))))
    }
}

#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) request_id: RequestId,
    /// True when a person looks at the answer.
    pub(crate) wants_page: bool,
}

pub(crate) fn scope<F: Future>(context: Context, future: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(context, future)
}

/// The id of the request that is being answered, for pages.
pub fn request_id() -> Option<RequestId> {
    CURRENT.try_with(|context| context.request_id.clone()).ok()
}

pub(crate) fn wants_page() -> bool {
    CURRENT.try_with(|context| context.wants_page).unwrap_or(false)
}
