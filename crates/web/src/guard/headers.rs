use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::page;

const ALWAYS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

// Whatever a handler forgot is shown, run and framed by nobody.
const NOTHING: &str = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Adds the security headers that the handler has not set itself. `https` adds HSTS, for two years.
pub(super) fn secure(headers: &mut HeaderMap, https: bool) {
    let mut add = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    for (name, value) in ALWAYS {
        add(name, value);
    }
    if https {
        add(header::STRICT_TRANSPORT_SECURITY, "max-age=63072000");
    }
    add(header::CACHE_CONTROL, "no-store");
    let is_page = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        return;
    }
    if !is_page {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(NOTHING));
    } else if let Ok(value) = HeaderValue::from_str(page::policy()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, value);
    }
}
