//! Calls of Zoom's API that the app makes through us.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use domicile_kernel::LinkId;
use domicile_store::audit::Actor;
use domicile_web::extract::{AppKey, RawBody};
use domicile_web::guard::UPSTREAM;
use domicile_web::problem::{Problem, ProblemError};
use domicile_zoom::api::passthrough::PassedAnswer;

use crate::linking::Linking;
use crate::passthrough::ZoomCall;

const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Names the members that were taken out of Zoom's answer.
const WITHHELD: HeaderName = HeaderName::from_static("domicile-withheld");

/// `/v1/links/{id}/zoom/{path}`.
pub fn configure(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/v1/links/{id}/zoom/{path:.*}")
            .name("link_zoom")
            .route(web::get().to(call))
            .route(web::head().to(call))
            .route(web::post().to(call))
            .route(web::put().to(call))
            .route(web::patch().to(call))
            .route(web::delete().to(call)),
    );
}

async fn call(
    key: AppKey,
    linking: web::Data<Linking>,
    request: HttpRequest,
    place: web::Path<(LinkId, String)>,
    RawBody(body): RawBody<MAX_BODY_BYTES>,
) -> Result<HttpResponse, ProblemError> {
    let (link, _) = place.into_inner();
    let method = request
        .method()
        .as_str()
        .parse()
        .map_err(|_| ProblemError::new(Problem::MethodNotAllowed))?;
    let call = ZoomCall {
        link,
        method,
        path: raw_path(&request).to_owned(),
        query: request.query_string().to_owned(),
        headers: headers(&request),
        body,
        actor: Actor::App(key.name().to_owned()),
    };
    // It goes on when the app's connection breaks: what was asked of Zoom has an answer, and a refresh must be kept.
    let linking = linking.get_ref().clone();
    let answer = tokio::spawn(async move { linking.call_zoom(call).await })
        .await
        .map_err(ProblemError::internal)??;
    respond(&answer)
}

/// What follows `/v1/links/{id}/zoom/`, as it was sent: the router has decoded some of it, and what is decoded once here
/// and once at Zoom's can mean two things.
fn raw_path(request: &HttpRequest) -> &str {
    request.uri().path().splitn(6, '/').nth(5).unwrap_or_default()
}

fn headers(request: &HttpRequest) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    for (name, value) in request.headers() {
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::from_bytes(name.as_str().as_bytes()),
            http::HeaderValue::from_bytes(value.as_bytes()),
        ) {
            headers.append(name, value);
        }
    }
    headers
}

fn respond(answer: &PassedAnswer) -> Result<HttpResponse, ProblemError> {
    let status =
        actix_web::http::StatusCode::from_u16(answer.status.as_u16()).map_err(ProblemError::internal)?;
    let mut response = HttpResponse::build(status);
    for (name, value) in &answer.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(ProblemError::internal)?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(ProblemError::internal)?;
        response.append_header((name, value));
    }
    response.insert_header((UPSTREAM, "zoom"));
    if !answer.withheld.is_empty() {
        response.insert_header((WITHHELD, answer.withheld.join(", ")));
    }
    Ok(response.body(answer.body.clone()))
}
