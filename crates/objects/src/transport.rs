//! S3's traffic through the fence.

use async_trait::async_trait;
use domicile_egress::{Client, EgressError, Response, TimeoutPhase};
use futures_util::TryStreamExt;
use http::header;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};

/// No server says more in an error than this.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// Gives `object_store` our client instead of one of its own; its options for clients have no meaning here.
#[derive(Debug, Clone)]
pub(crate) struct Fenced(pub(crate) Client);

impl HttpConnector for Fenced {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Fenced {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let response = self
            .0
            .send(http::Request::from_parts(parts, body))
            .await
            .map_err(http_error)?;
        let mut answer = http::Response::new(());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = response.headers().clone();
        let (mut parts, ()) = answer.into_parts();
        let body = if parts.status.is_client_error() || parts.status.is_server_error() {
            parts.headers.remove(header::CONTENT_LENGTH);
            error_code(response).await.into()
        } else {
            let frames = response.into_stream().map_ok(Frame::data).map_err(http_error);
            HttpResponseBody::new(StreamBody::new(frames))
        };
        Ok(HttpResponse::from_parts(parts, body))
    }
}

/// An error's `<Code>` and nothing else of it: S3 repeats key ids, tokens and what was signed in its errors, and
/// `object_store` repeats their bodies in its own (INV-3). Source: "Error responses" of the Amazon S3 API reference.
async fn error_code(response: Response) -> String {
    let body = response.bytes_limited(MAX_ERROR_BYTES).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map(|(code, _)| code)
        .filter(|code| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric()));
    code.map(|code| format!("<Error><Code>{code}</Code></Error>"))
        .unwrap_or_default()
}

fn http_error(error: EgressError) -> HttpError {
    let kind = match &error {
        EgressError::Dns { .. }
        | EgressError::Connect { .. }
        | EgressError::Timeout {
            phase: TimeoutPhase::Connect,
            ..
        } => HttpErrorKind::Connect,
        EgressError::Timeout { .. } => HttpErrorKind::Timeout,
        EgressError::Broken { .. } => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
