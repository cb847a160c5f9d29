//! The bytes of a file (RFC 9110 sections 13 and 14).
//!
//! One range is answered with 206; several at once are ignored and the whole file is sent with 200, as section 14.2
//! allows. A stored file never changes, so its SHA-256 is a strong entity tag.

use actix_web::body::SizedStream;
use actix_web::http::header::{self, EntityTag, Header, HeaderValue, IfNoneMatch, IfRange};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use domicile_kernel::{FileId, RecordingId};
use domicile_objects::ObjectsError;
use domicile_web::extract::AppKey;
use domicile_web::problem::{Problem, ProblemError};
use domicile_web::range::{self, Requested, unsatisfied_content_range};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use tracing::warn;

use super::problems::of_storage;
use crate::library::{Content, Library, StoredFile};

pub(super) async fn get(
    _key: AppKey,
    request: HttpRequest,
    library: web::Data<Library>,
    ids: web::Path<(RecordingId, FileId)>,
) -> Result<HttpResponse, ProblemError> {
    let (recording, file) = ids.into_inner();
    let file = match library.content(recording, file).await? {
        Content::Absent => return Err(Problem::NotFound.into_error("There is no such file.")),
        Content::NotReady => {
            return Err(Problem::NotReady.into_error("The file's bytes are not in the region's storage."));
        }
        Content::Stored(file) => file,
    };
    let tag = EntityTag::new_strong(hex::encode(&file.sha256));
    if !none_match(&request, &tag) {
        return Ok(HttpResponse::NotModified()
            .insert_header(header::ETag(tag))
            .insert_header((header::CACHE_CONTROL, CACHING))
            .finish());
    }
    let (status, part, length) = match range::parse(wanted_range(&request, &tag), file.size_bytes) {
        Requested::Whole => (StatusCode::OK, None, file.size_bytes),
        Requested::Part(part) => (StatusCode::PARTIAL_CONTENT, Some(part), part.len()),
        Requested::Unsatisfiable => {
            let problem = ProblemError::new(Problem::RangeNotSatisfiable);
            return Err(
                match HeaderValue::from_str(&unsatisfied_content_range(file.size_bytes)) {
                    Ok(value) => problem.header(header::CONTENT_RANGE, value),
                    Err(_) => problem,
                },
            );
        }
    };
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, file.content_type.as_str()))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header(header::ETag(tag))
        .insert_header((header::CACHE_CONTROL, CACHING))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("inline; filename=\"{}\"", file.name),
        ));
    if let Some(part) = part {
        response.insert_header((header::CONTENT_RANGE, part.content_range(file.size_bytes)));
    }
    let body = if request.method() == Method::HEAD || length == 0 {
        stream::empty().boxed()
    } else {
        read(&library, &file, part.map(range::ByteRange::half_open)).await?
    };
    Ok(response.body(SizedStream::new(length, body)))
}

// It is personal data: nobody but the app may keep it, and the app asks each time whether it still may.
const CACHING: &str = "private, no-cache";

/// The bytes, begun: what storage refuses is a problem, not a broken answer.
async fn read(
    library: &Library,
    file: &StoredFile,
    part: Option<std::ops::Range<u64>>,
) -> Result<BoxStream<'static, Result<Bytes, ObjectsError>>, ProblemError> {
    let mut bytes = library.read(file, part);
    let first = bytes.next().await.transpose().map_err(of_storage)?;
    let first = stream::iter(first.map(Ok));
    let id = file.id;
    Ok(first
        .chain(bytes)
        .inspect_err(move |error| {
            warn!(file.id = %id, error = %error, "storage broke off while a file was being served");
        })
        .boxed())
}

/// RFC 9110 section 13.1.2; false when the caller has these bytes already.
fn none_match(request: &HttpRequest, tag: &EntityTag) -> bool {
    if !request.headers().contains_key(header::IF_NONE_MATCH) {
        return true;
    }
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => false,
        Ok(IfNoneMatch::Items(items)) => !items.iter().any(|item| item.weak_eq(tag)),
        Err(_) => true,
    }
}

/// The `Range` header, unless `If-Range` names other bytes than these (RFC 9110 section 13.1.5).
fn wanted_range<'a>(request: &'a HttpRequest, tag: &EntityTag) -> Option<&'a str> {
    if request.headers().contains_key(header::IF_RANGE) {
        let same = matches!(IfRange::parse(request), Ok(IfRange::EntityTag(held)) if held.strong_eq(tag));
        if !same {
            return None;
        }
    }
    request.headers().get(header::RANGE)?.to_str().ok()
}
