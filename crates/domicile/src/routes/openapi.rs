//! `GET /v1/openapi.json`: the App API, described for people and machines.

use std::sync::LazyLock;

use actix_web::http::header::{self, EntityTag, Header, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, web};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

/// OpenAPI 3.1 by area, written by hand; the tests hold the running region against it. Each part is a document with the
/// members that it adds; none adds what another has.
const PARTS: [&str; 6] = [
    include_str!("openapi/base.json"),
    include_str!("openapi/linking.json"),
    include_str!("openapi/zoom.json"),
    include_str!("openapi/recordings.json"),
    include_str!("openapi/events.json"),
    include_str!("openapi/bot.json"),
];

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut whole = Value::Null;
    for part in PARTS {
        // A part that is no JSON cannot pass the tests, which read the whole document.
        if let Ok(part) = serde_json::from_str(part) {
            merge(&mut whole, part);
        }
    }
    format!("{whole:#}\n")
});

/// The document as it is served.
pub fn document() -> &'static str {
    &DOCUMENT
}

/// Objects grow by each other's members; anything else is taken over.
fn merge(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Object(members), Value::Object(more)) => {
            for (name, value) in more {
                merge(members.entry(name).or_insert(Value::Null), value);
            }
        }
        (whole, part) => *whole = part,
    }
}

/// The document's entity tag, which its bytes give.
struct Tag(EntityTag);

/// It needs no key: what it says is the same for every region.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    let tag = hex::encode(digest(&SHA256, document().as_bytes()));
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
        response.content_type("application/json").body(document())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn members(value: &Value) -> usize {
        value
            .as_object()
            .map_or(1, |it| it.values().map(members).sum::<usize>().max(1))
    }

    #[test]
    fn every_part_is_in_the_whole_and_none_overwrites_another() {
        let parts = PARTS.map(|part| serde_json::from_str::<Value>(part).unwrap());
        let whole: Value = serde_json::from_str(document()).unwrap();
        assert_eq!(members(&whole), parts.iter().map(members).sum::<usize>());
    }
}
