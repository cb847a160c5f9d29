//! The app: where its users begin and return, where it takes events, where its keys are.

use bytes::Bytes;
use domicile_egress::{Client, EgressError};
use domicile_linking::IdentitySettings;
use http::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::network::{chain, remedy};
use super::report::Finding;
use super::{Doctor, client};
use crate::settings::AppSettings;

const RETURNS: &str = "app.return_urls";
const EVENTS: &str = "app.events";
const KEYS: &str = "app.jwks";
const EVENTS_URL: &str = "DOMICILE_APP_EVENTS_URL";
const JWKS_URL: &str = "DOMICILE_APP_JWT_JWKS_URL";
const RETURN_URLS: &str = "DOMICILE_APP_RETURN_URLS";
const MAX_KEYS_BYTES: usize = 256 * 1024;

pub(super) async fn examine(doctor: &Doctor) -> Vec<Finding> {
    let Some(app) = &doctor.parts.app else {
        let why = doctor.absent(
            "DOMICILE_APP_API_KEYS, DOMICILE_APP_START_URL, ...",
            "they are required",
        );
        return [RETURNS, EVENTS, KEYS]
            .map(|id| Finding::skipped(id, &why))
            .to_vec();
    };
    let returns = returns(doctor, app);
    let client = match doctor.egress() {
        Ok(egress) => client(&egress),
        Err(why) => {
            let mut findings = vec![returns];
            findings.extend([EVENTS, KEYS].map(|id| Finding::skipped(id, &why)));
            return findings;
        }
    };
    vec![returns, events(app, &client).await, keys(app, &client).await]
}

fn returns(doctor: &Doctor, app: &AppSettings) -> Finding {
    let urls = app.return_urls.prefixes();
    if let Some(http) = &doctor.parts.http
        && let Some(own) = urls
            .iter()
            .chain([&app.start_url])
            .find(|url| url.origin() == http.public_url.origin())
    {
        let found = format!("{own} is on the region's own public host, where the app has no page");
        let remedy = format!("{RETURN_URLS} and DOMICILE_APP_START_URL must be pages of the app");
        return Finding::fault(RETURNS, found, remedy);
    }
    match urls.iter().find(|url| url.host() != app.start_url.host()) {
        Some(outside) => Finding::warning(
            RETURNS,
            format!("{outside} is on another host than DOMICILE_APP_START_URL"),
            format!(
                "a browser that returns there carries a ticket: take it out of {RETURN_URLS} unless the app serves it"
            ),
        ),
        None => Finding::ok(RETURNS, "browsers return to the host on which they began"),
    }
}

/// Whether somebody is there; no event is sent.
async fn events(app: &AppSettings, client: &Client) -> Finding {
    let Some(destination) = &app.events else {
        return Finding::skipped(
            EVENTS,
            format!("{EVENTS_URL} is not set: the app pulls its events"),
        );
    };
    match call(client, Method::HEAD, &destination.url).await {
        Err(error) => Finding::fault(EVENTS, chain(&error), remedy(&error, EVENTS_URL)),
        Ok((status, _)) if status.is_server_error() || status == StatusCode::MISDIRECTED_REQUEST => {
            Finding::fault(
                EVENTS,
                format!("HEAD is answered with {}", status.as_u16()),
                format!("the app's endpoint is not well: see its log, and what {EVENTS_URL} leads to"),
            )
        }
        Ok((status, _)) => Finding::ok(
            EVENTS,
            format!(
                "somebody answers there (HEAD: {}); no event was sent",
                status.as_u16()
            ),
        ),
    }
}

async fn keys(app: &AppSettings, client: &Client) -> Finding {
    #[derive(Deserialize)]
    struct KeySet {
        keys: Vec<Box<RawValue>>,
    }
    let IdentitySettings::SessionJwt(jwt) = &app.identity else {
        return Finding::skipped(
            KEYS,
            "DOMICILE_APP_IDENTITY is confirm: the app's session tokens are not read",
        );
    };
    let published = format!("let the app publish its JSON Web Key Set where {JWKS_URL} says");
    match call(client, Method::GET, &jwt.jwks_url).await {
        Err(error) => Finding::fault(KEYS, chain(&error), remedy(&error, JWKS_URL)),
        Ok((StatusCode::OK, body)) => match serde_json::from_slice::<KeySet>(&body) {
            Ok(set) if !set.keys.is_empty() => {
                Finding::ok(KEYS, format!("{} keys are published", set.keys.len()))
            }
            Ok(_) => Finding::fault(KEYS, "the key set is empty", published),
            Err(_) => Finding::fault(KEYS, "the answer is no key set", published),
        },
        Ok((status, _)) => Finding::fault(
            KEYS,
            format!("GET is answered with {}", status.as_u16()),
            published,
        ),
    }
}

async fn call(client: &Client, method: Method, url: &Url) -> Result<(StatusCode, Bytes), EgressError> {
    let request = Request::builder()
        .method(method)
        .uri(url.as_str())
        .body(Bytes::new())
        .map_err(|_| EgressError::InvalidRequest)?;
    let answer = client.send(request).await?;
    Ok((answer.status(), answer.bytes_limited(MAX_KEYS_BYTES).await?))
}
