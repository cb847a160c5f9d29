//! A recording's files: from the region through the app to its user, piece by piece.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use http::HeaderMap;

use super::super::state::Shared;
use super::{SignedIn, see_other, trouble};

/// What the browser asks with, and the region has to know.
const ASKED: [&str; 4] = ["range", "if-range", "if-none-match", "if-modified-since"];

/// What the region answers, and the browser has to know.
const ANSWERED: [&str; 7] = [
    "content-type",
    "content-length",
    "content-range",
    "content-disposition",
    "accept-ranges",
    "etag",
    "last-modified",
];

pub(super) async fn file(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    app: web::Data<Shared>,
) -> HttpResponse {
    let Some(who) = SignedIn::of(&request, &app) else {
        return see_other("/sign-in");
    };
    let (recording_id, file_id) = path.into_inner();
    // The region gives the app every recording; whose it is, the app has to see to.
    let recording = match app.backend.recording(&recording_id, &who.user.subject).await {
        Ok(recording) => recording,
        Err(failure) => return unavailable(&app, &request, &failure.to_string()),
    };
    if !recording.is_some_and(|recording| recording.files.iter().any(|file| file.id == file_id)) {
        let text = "There is no such file among your recordings.";
        return trouble(&app, &request, HttpResponse::NotFound(), "Not found", text);
    }
    let mut conditions = HeaderMap::new();
    for name in ASKED {
        let value = request.headers().get(name).map(HeaderValue::as_bytes);
        if let Some(value) = value.and_then(|value| http::HeaderValue::from_bytes(value).ok()) {
            conditions.insert(name, value);
        }
    }
    match app.backend.content(&recording_id, &file_id, conditions).await {
        Ok(content) => forward(content),
        Err(failure) => unavailable(&app, &request, &failure.to_string()),
    }
}

fn forward(content: domicile_egress::Response) -> HttpResponse {
    let status = StatusCode::from_u16(content.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponse::build(status);
    let mut is_media = false;
    let length = content.content_length();
    for name in ANSWERED {
        if let Some(value) = content.headers().get(name)
            && let Ok(value) = HeaderValue::from_bytes(value.as_bytes())
        {
            if name == "content-type" {
                let kind = value.as_bytes();
                is_media = kind.starts_with(b"video/") || kind.starts_with(b"audio/");
            }
            response.insert_header((HeaderName::from_static(name), value));
        }
    }
    // Opened by itself, a file may play or show its text, and nothing else.
    let policy = if is_media {
        "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'"
    } else {
        "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; sandbox"
    };
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"));
    if status == StatusCode::NOT_MODIFIED {
        return response.finish();
    }
    if let Some(length) = length {
        response.no_chunking(length);
    }
    response.streaming(
        content
            .into_stream()
            .map(|piece| piece.map_err(std::io::Error::other)),
    )
}

fn unavailable(app: &Shared, request: &HttpRequest, text: &str) -> HttpResponse {
    trouble(
        app,
        request,
        HttpResponse::BadGateway(),
        "The file cannot be played now",
        text,
    )
}
