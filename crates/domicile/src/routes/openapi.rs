//! `GET /v1/openapi.json`: the App API, described for people and machines.

use actix_web::http::header::{self, EntityTag, Header, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, web};
use aws_lc_rs::digest::{SHA256, digest};

/// OpenAPI 3.1, written by hand; the tests hold the running region against it.
const DOCUMENT: &str = include_str!("openapi.json");

/// The document's entity tag, which its bytes give.
struct Tag(EntityTag);

/// It needs no key: what it says is the same for every region.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    let tag = hex::encode(digest(&SHA256, DOCUMENT.as_bytes()));
    config.service(
        web::resource("/v1/openapi.json")
            .name("openapi")
            .app_data(web::Data::new(Tag(EntityTag::new_strong(tag))))
            .route(web::get().to(show)),
    );
}

async fn show(request: HttpRequest, tag: web::Data<Tag>) -> HttpResponse {
    let Tag(tag) = tag.get_ref();
    let held = holds(&request, tag);
    let mut response = if held {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header(header::ETag(tag.clone()))
        .insert_header((header::CACHE_CONTROL, "no-cache"));
    if held {
        response.finish()
    } else {
        response.content_type("application/json").body(DOCUMENT)
    }
}

/// Whether the caller has this document already (RFC 9110 section 13.1.2).
fn holds(request: &HttpRequest, tag: &EntityTag) -> bool {
    if !request.headers().contains_key(header::IF_NONE_MATCH) {
        return false;
    }
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(items)) => items.iter().any(|item| item.weak_eq(tag)),
        Err(_) => false,
    }
}
