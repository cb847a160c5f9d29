//! What browsers open.

use std::sync::{Mutex, PoisonError};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use domicile_kernel::Secret;
use domicile_web::RequestId;
use tracing::{error, warn};
use url::form_urlencoded;

use super::{cookie, pages};
use crate::error::LinkingError;
use crate::identity::Presence;
use crate::linking::Linking;
use crate::returning::Returned;

/// Longer values are none of Zoom's.
const MAX_PARAMETER_BYTES: usize = 4096;

/// `/connect/{session}` and `/oauth/callback`.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/connect/{session}")
                .name("connect")
                .route(web::get().to(start)),
        )
        .service(
            web::resource("/oauth/callback")
                .name("oauth_callback")
                .route(web::get().to(callback)),
        );
}

/// Sends the browser to Zoom with a fresh state, cookie and PKCE challenge.
async fn start(
    linking: web::Data<Linking>,
    session: web::Path<String>,
    request: HttpRequest,
    reference: RequestId,
) -> HttpResponse {
    let public_url = &linking.settings().public_url;
    let cookies = cookies_of(&request);
    let started = match presence(&linking, &cookies, &request).await {
        Ok(presence) => linking.start_session(&session, &presence).await,
        Err(failure) => Err(failure),
    };
    match started {
        Ok(started) => {
            let mut response = redirect(&started.authorize_url);
            for cookie in cookie::surplus(&cookies, started.id, public_url) {
                response.cookie(cookie);
            }
            response
                .cookie(cookie::set(started.id, &started.cookie, started.life, public_url))
                .finish()
        }
        Err(failure) => failed(&failure, &linking, &reference),
    }
}

/// Who sits at this browser, where the region asks its browsers.
async fn presence(
    linking: &Linking,
    cookies: &[(String, String)],
    request: &HttpRequest,
) -> Result<Presence, LinkingError> {
    let presence = linking.identity().presence(cookies, request.headers()).await;
    presence.map_err(LinkingError::IdentityUnavailable)
}

/// The request is no `Sync` value, so its cookies are read before the database is asked. Nothing is decoded: a browser lets
/// a neighbour set `%5F%5FHost-`, which must not become the prefix that only our own host may set.
fn cookies_of(request: &HttpRequest) -> Vec<(String, String)> {
    request
        .cookies_raw()
        .map(|cookies| {
            cookies
                .iter()
                .map(|cookie| (cookie.name().to_owned(), cookie.value().to_owned()))
                .collect()
        })
        .unwrap_or_default()
}

/// Zoom's answer (RFC 6749 section 4.1.2).
struct CallbackQuery {
    state: Option<String>,
    code: Option<Secret<String>>,
    error: bool,
}

impl CallbackQuery {
    /// Nothing where a parameter stands twice or is too long: RFC 6749 section 3.1 allows each once.
    fn parse(query: &str) -> Option<Self> {
        let mut parsed = Self {
            state: None,
            code: None,
            error: false,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.len() > MAX_PARAMETER_BYTES {
                return None;
            }
            match name.as_ref() {
                "state" if parsed.state.is_none() => parsed.state = Some(value.into_owned()),
                "code" if parsed.code.is_none() => parsed.code = Some(Secret::new(value.into_owned())),
                "error" if !parsed.error => parsed.error = true,
                "state" | "code" | "error" => return None,
                _ => {}
            }
        }
        Some(parsed)
    }
}

/// Keeps the code for the app's confirmation and sends the browser to the app with a ticket.
async fn callback(linking: web::Data<Linking>, request: HttpRequest, reference: RequestId) -> HttpResponse {
    let settings = linking.settings();
    let Some(query) = CallbackQuery::parse(request.query_string()) else {
        linking.audit_return("malformed_return").await;
        return failed(&LinkingError::UnknownSession, &linking, &reference);
    };
    let Some(state) = query.state.filter(|state| !state.is_empty()) else {
        // A visit without anything is no attempt at all.
        if query.code.is_some() {
            linking.audit_return("no_state").await;
        }
        return pages::from_marketplace(settings);
    };
    let returned = match (query.code, query.error) {
        (Some(code), false) => Returned::Code(code),
        // Whatever else came with a state, it is no code that may be used.
        _ => Returned::Denied,
    };
    let cookies = cookies_of(&request);
    // Which session the state belonged to is known when its cookie is asked for.
    let asked = Mutex::new(None);
    let cookie_of = |session| {
        *asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        cookie::value(&cookies, session, &settings.public_url)
    };
    let received = match presence(&linking, &cookies, &request).await {
        Ok(presence) => linking.receive(&state, cookie_of, returned, &presence).await,
        // Nothing is spent yet, so the same URL works once the app's keys can be had again.
        Err(failure) => Err(failure),
    };
    let mut response = match received {
        Ok(return_url) => redirect(&return_url).finish(),
        Err(failure) => failed(&failure, &linking, &reference),
    };
    if let Some(session) = asked.into_inner().unwrap_or_else(PoisonError::into_inner) {
        let spent = cookie::spent(session, &settings.public_url);
        if let Err(error) = response.add_cookie(&spent) {
            warn!(%error, "a spent cookie could not be taken away");
        }
    }
    response
}

fn failed(failure: &LinkingError, linking: &Linking, reference: &RequestId) -> HttpResponse {
    let response = pages::failed(failure, linking.settings(), reference);
    if response.status().is_server_error() {
        error!(error = %failure, "a browser's step failed");
    } else {
        warn!(error = %failure, "a browser's step was refused");
    }
    response
}

/// 303, so that whatever the browser sent is not sent again.
fn redirect(to: &Secret<String>) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::SeeOther();
    response
        .insert_header((header::LOCATION, to.expose().as_str()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_cookie_whose_prefix_is_escaped_is_not_ours() {
        let request = TestRequest::default()
            .insert_header(("cookie", "%5F%5FHost-domicile-connect-1=tossed; __Host-b=%41"))
            .to_http_request();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            cookies_of(&request),
            [
                pair("%5F%5FHost-domicile-connect-1", "tossed"),
                pair("__Host-b", "%41")
            ]
        );
    }

    #[test]
    fn a_parameter_that_stands_twice_voids_the_callback() {
        assert!(CallbackQuery::parse("state=a&state=b").is_none());
        assert!(CallbackQuery::parse("code=a&state=b&code=c").is_none());
    }

    #[test]
    fn a_code_beside_an_error_is_no_code() {
        let query = CallbackQuery::parse("error=access_denied&code=a&state=b").unwrap();
        assert!(query.error && query.code.is_some());
    }
}
