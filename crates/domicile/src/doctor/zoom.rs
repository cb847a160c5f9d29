//! Zoom: whether it answers, what time it is there, and whether it knows the region's apps.

use std::sync::Arc;

use bytes::Bytes;
use chrono::DateTime;
use domicile_egress::Client;
use domicile_kernel::{Secret, Timestamp};
use domicile_zoom::oauth::{OAuthError, TokenSet, ZoomOAuth};
use http::{Method, Request, header};
use url::Url;

use super::database::skew;
use super::network::{chain, remedy};
use super::report::Finding;
use super::{Doctor, client};
use crate::settings::ZoomSettings;

const REACH: &str = "zoom.reach";
const API: &str = "zoom.api";
const CLOCK: &str = "zoom.clock";
const CREDENTIALS: &str = "zoom.credentials";
const HOSTS: &str = "zoom.hosts";
const BOT: &str = "bot.credentials";
const OAUTH_URL: &str = "DOMICILE_ZOOM_OAUTH_URL";
const API_URL: &str = "DOMICILE_ZOOM_API_URL";

pub(super) async fn examine(doctor: &Doctor) -> Vec<Finding> {
    let all = |why: String| {
        [REACH, API, CLOCK, CREDENTIALS, HOSTS, BOT]
            .map(|id| Finding::skipped(id, why.clone()))
            .to_vec()
    };
    let Some(zoom) = &doctor.parts.zoom else {
        return all(doctor.absent("DOMICILE_ZOOM_CLIENT_ID", "it is required"));
    };
    let client = match doctor.egress() {
        Ok(egress) => client(&egress),
        Err(why) => return all(why),
    };
    let mut findings = reach(doctor, zoom, &client).await;
    findings.push(api(zoom, &client).await);
    findings.extend(credentials(doctor, zoom, &client).await);
    findings.push(bot(doctor, zoom, &client).await);
    findings
}

async fn reach(doctor: &Doctor, zoom: &ZoomSettings, client: &Client) -> Vec<Finding> {
    match head(client, &zoom.oauth_url).await {
        Err(error) => vec![
            Finding::fault(REACH, chain(&error), remedy(&error, OAUTH_URL)),
            Finding::skipped(CLOCK, "Zoom does not answer"),
        ],
        Ok(date) => {
            let clock = match date {
                Some(theirs) => skew(CLOCK, "Zoom's", doctor.ids.clock().now() - theirs),
                None => Finding::skipped(CLOCK, "Zoom's answer holds no Date"),
            };
            vec![
                Finding::ok(REACH, format!("{} answers", host(&zoom.oauth_url))),
                clock,
            ]
        }
    }
}

async fn api(zoom: &ZoomSettings, client: &Client) -> Finding {
    match head(client, zoom.api_base.url()).await {
        Ok(_) => Finding::ok(API, format!("{} answers", host(zoom.api_base.url()))),
        Err(error) => Finding::fault(API, chain(&error), remedy(&error, API_URL)),
    }
}

/// Any answer shows that somebody is there; its date is told.
async fn head(client: &Client, url: &Url) -> Result<Option<Timestamp>, domicile_egress::EgressError> {
    let request = Request::builder()
        .method(Method::HEAD)
        .uri(url.as_str())
        .body(Bytes::new())
        .map_err(|_| domicile_egress::EgressError::InvalidRequest)?;
    let answer = client.send(request).await?;
    let date = answer
        .headers()
        .get(header::DATE)
        .and_then(|date| date.to_str().ok());
    Ok(date
        .and_then(|date| DateTime::parse_from_rfc2822(date).ok())
        .map(Into::into))
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

async fn credentials(doctor: &Doctor, zoom: &ZoomSettings, client: &Client) -> Vec<Finding> {
    let asked = token(doctor, zoom, client, &zoom.client_id, zoom.client_secret.clone()).await;
    let hosts = match &asked {
        Ok(TokenSet {
            api_url: Some(url), ..
        }) => match zoom.hosts.validate_api_url(url.as_str()) {
            Ok(_) => Finding::ok(HOSTS, "the API host that Zoom names is allowed"),
            Err(error) => Finding::fault(
                HOSTS,
                format!("Zoom names the API host {}: {error}", host(url)),
                format!(
                    "add the domain of {} to DOMICILE_ZOOM_HOSTS, if it is Zoom's",
                    host(url)
                ),
            ),
        },
        Ok(_) => Finding::skipped(HOSTS, "Zoom's token answer names no API host"),
        Err(_) => Finding::skipped(HOSTS, "Zoom gave no token that would name its API host"),
    };
    let names = ("DOMICILE_ZOOM_CLIENT_ID", "DOMICILE_ZOOM_CLIENT_SECRET");
    vec![judged(CREDENTIALS, asked, names), hosts]
}

async fn bot(doctor: &Doctor, zoom: &ZoomSettings, client: &Client) -> Finding {
    let Some(bot) = &doctor.parts.bot else {
        return Finding::skipped(BOT, doctor.absent("DOMICILE_BOT_ROBOT_JID", "the bot is off"));
    };
    if bot.client_id == zoom.client_id {
        return Finding::skipped(BOT, "the bot belongs to the Zoom app, see zoom.credentials");
    }
    let asked = token(doctor, zoom, client, &bot.client_id, bot.client_secret.clone()).await;
    judged(
        BOT,
        asked,
        ("DOMICILE_BOT_CLIENT_ID", "DOMICILE_BOT_CLIENT_SECRET"),
    )
}

async fn token(
    doctor: &Doctor,
    zoom: &ZoomSettings,
    client: &Client,
    client_id: &str,
    client_secret: Secret<String>,
) -> Result<TokenSet, OAuthError> {
    let clock = Arc::clone(doctor.ids.clock());
    // The redirect plays no part in this grant.
    let oauth = ZoomOAuth::new(
        client_id,
        client_secret,
        &zoom.oauth_url,
        &zoom.oauth_url,
        client.clone(),
        clock,
    )
    .map_err(|_| OAuthError::NotARequest)?;
    oauth.client_credentials().await
}

fn judged(
    id: &'static str,
    asked: Result<TokenSet, OAuthError>,
    (client_id, secret): (&str, &str),
) -> Finding {
    match asked {
        Ok(_) => Finding::ok(id, "Zoom knows the app and its secret"),
        // The client was authenticated before its grant was looked at (RFC 6749 section 5.2).
        Err(OAuthError::Rejected {
            error: Some(error @ ("unauthorized_client" | "unsupported_grant_type" | "invalid_scope")),
            ..
        }) => Finding::ok(
            id,
            format!("Zoom knows the app and its secret; it gives it no token of its own ({error})"),
        ),
        Err(error @ OAuthError::InvalidClient) => Finding::fault(
            id,
            error.to_string(),
            format!(
                "copy {client_id} and {secret} from the app's page at the Marketplace anew: development and production \
                 have different ones"
            ),
        ),
        Err(OAuthError::Unreachable(error)) => Finding::fault(id, chain(&error), remedy(&error, OAUTH_URL)),
        Err(error @ OAuthError::RateLimited { .. }) => {
            Finding::warning(id, error.to_string(), "ask again in some minutes")
        }
        Err(error) => Finding::fault(
            id,
            chain(&error),
            format!("see https://status.zoom.us, and what {OAUTH_URL} leads to"),
        ),
    }
}
