//! The public URL, as Zoom and browsers see it: TLS, whose it is, and whether Zoom's challenges are answered.

use bytes::Bytes;
use domicile_egress::{Client, EgressError, Fence, HostRule, Response};
use domicile_kernel::random::random_bytes;
use domicile_zoom::challenge::{ChallengeAnswer, OWN_TOKEN_PREFIX, PlainToken};
use domicile_zoom::signature::WebhookSecrets;
use http::{Request, StatusCode, header};
use url::Url;

use super::network::{chain, is_certificate, remedy};
use super::report::Finding;
use super::{Doctor, behind, client};
use crate::settings::HttpSettings;

const REACH: &str = "public.reach";
const TLS: &str = "public.tls";
const EVENTS: &str = "public.events";
const BOT: &str = "public.bot";
const URL: &str = "DOMICILE_HTTP_PUBLIC_URL";

/// A certificate that ends sooner than this should have been renewed.
const RENEWED_BEFORE_DAYS: i64 = 21;
const MAX_ANSWER_BYTES: usize = 64 * 1024;

pub(super) async fn examine(doctor: &Doctor) -> Vec<Finding> {
    let all = |why: &str| {
        [REACH, TLS, EVENTS, BOT]
            .map(|id| Finding::skipped(id, why))
            .to_vec()
    };
    let Some(http) = &doctor.parts.http else {
        return all(&doctor.absent(URL, "it is required"));
    };
    let client = match way_out(http) {
        Ok(client) => client,
        Err(why) => return all(&why),
    };
    let answer = get(&client, &http.public_url).await;
    let mut findings = vec![tls(doctor, http, &answer)];
    match answer {
        Err(error) if is_certificate(&error) => {
            let why = "TLS fails, see public.tls";
            findings.extend([REACH, EVENTS, BOT].map(|id| Finding::skipped(id, why)));
        }
        Err(error) => {
            findings.push(Finding::fault(REACH, chain(&error), remedy(&error, URL)));
            let why = "the public URL does not answer";
            findings.extend([EVENTS, BOT].map(|id| Finding::skipped(id, why)));
        }
        Ok(answer) => {
            findings.push(reached(&answer));
            findings.push(events(doctor, http, &client).await);
            findings.push(bot(doctor, http, &client).await);
        }
    }
    findings
}

/// A way to our own public URL. No process of the region needs it, so the fence of the region does not know it.
fn way_out(http: &HttpSettings) -> Result<Client, String> {
    let rule = HostRule::for_url(&http.public_url).map_err(|error| error.to_string())?;
    behind(Fence::builder().allow(URL, rule.internal()).build()).map(|egress| client(&egress))
}

async fn get(client: &Client, url: &Url) -> Result<Response, EgressError> {
    let request = Request::get(url.as_str())
        .body(Bytes::new())
        .map_err(|_| EgressError::InvalidRequest)?;
    client.send(request).await
}

fn tls(doctor: &Doctor, http: &HttpSettings, answer: &Result<Response, EgressError>) -> Finding {
    if http.public_url.scheme() != "https" {
        return Finding::skipped(TLS, "the public URL is plain http on a loopback host");
    }
    match answer {
        Err(error) if is_certificate(error) => Finding::fault(TLS, chain(error), remedy(error, URL)),
        Err(_) => Finding::skipped(TLS, "the public URL does not answer"),
        Ok(answer) => match answer.certificate_ends_at() {
            None => Finding::ok(
                TLS,
                "chain and host name are valid; the end of the certificate could not be read",
            ),
            Some(end) => {
                let days = (end - doctor.ids.clock().now()).num_days();
                let found = format!("chain and host name are valid; the certificate ends in {days} days");
                if days < RENEWED_BEFORE_DAYS {
                    let remedy = "renew it now, and see why it was not renewed by itself (cert-manager's Certificate and its events)";
                    Finding::warning(TLS, found, remedy)
                } else {
                    Finding::ok(TLS, found)
                }
            }
        },
    }
}

fn reached(answer: &Response) -> Finding {
    let status = answer.status();
    if status == StatusCode::MISDIRECTED_REQUEST {
        return misdirected(REACH);
    }
    if status.is_server_error() || status == StatusCode::NOT_FOUND {
        let found = format!("GET / is answered with {}", status.as_u16());
        let remedy =
            "something else than this region answers: see the ingress's routes and its backend's pods";
        return Finding::fault(REACH, found, remedy);
    }
    Finding::ok(REACH, format!("GET / is answered with {}", status.as_u16()))
}

fn misdirected(id: &'static str) -> Finding {
    let found = "421: the process that answers there has another public host";
    let remedy = format!(
        "DNS or the ingress leads this host to another region's process, or {URL} of that process differs: compare them"
    );
    Finding::fault(id, found, remedy)
}

/// One endpoint that Zoom calls.
struct Endpoint<'a> {
    id: &'static str,
    path: &'static str,
    secrets: &'a WebhookSecrets,
    secrets_setting: &'static str,
    /// The settings of the header that its subscription adds: `Authorization`, or one of its own.
    headers: (&'static str, &'static str),
}

async fn events(doctor: &Doctor, http: &HttpSettings, client: &Client) -> Finding {
    let Some(zoom) = &doctor.parts.zoom else {
        return Finding::skipped(
            EVENTS,
            doctor.absent("DOMICILE_ZOOM_WEBHOOK_SECRETS", "it is required"),
        );
    };
    let endpoint = Endpoint {
        id: EVENTS,
        path: "/zoom/events",
        secrets: &zoom.webhook_secrets,
        secrets_setting: "DOMICILE_ZOOM_WEBHOOK_SECRETS",
        headers: (
            "DOMICILE_ZOOM_WEBHOOK_AUTHORIZATION",
            "DOMICILE_ZOOM_WEBHOOK_HEADER",
        ),
    };
    challenge(doctor, http, client, &endpoint).await
}

async fn bot(doctor: &Doctor, http: &HttpSettings, client: &Client) -> Finding {
    let Some(bot) = &doctor.parts.bot else {
        return Finding::skipped(BOT, doctor.absent("DOMICILE_BOT_ROBOT_JID", "the bot is off"));
    };
    let own_secrets = doctor
        .parts
        .variables
        .get("DOMICILE_BOT_WEBHOOK_SECRETS")
        .is_some();
    let endpoint = Endpoint {
        id: BOT,
        path: "/zoom/bot",
        secrets: &bot.webhook_secrets,
        secrets_setting: if own_secrets {
            "DOMICILE_BOT_WEBHOOK_SECRETS"
        } else {
            "DOMICILE_ZOOM_WEBHOOK_SECRETS"
        },
        headers: (
            "DOMICILE_BOT_WEBHOOK_AUTHORIZATION",
            "DOMICILE_BOT_WEBHOOK_HEADER",
        ),
    };
    challenge(doctor, http, client, &endpoint).await
}

/// Posts a signed challenge to our own endpoint, as Zoom does, and verifies the answer.
async fn challenge(
    doctor: &Doctor,
    http: &HttpSettings,
    client: &Client,
    endpoint: &Endpoint<'_>,
) -> Finding {
    let id = endpoint.id;
    let random = hex::encode(random_bytes::<12>(doctor.ids.rng().as_ref()));
    let Ok(token) = format!("{OWN_TOKEN_PREFIX}{random}").parse::<PlainToken>() else {
        return Finding::skipped(id, "no challenge could be written");
    };
    let now = doctor.ids.clock().now();
    let body = serde_json::json!({
        "event": "endpoint.url_validation",
        "event_ts": now.timestamp_millis(),
        "payload": {"plainToken": token.as_str()},
    })
    .to_string();
    let secret = endpoint.secrets.get_or_first(0);
    let Ok(url) = http.public_url.join(endpoint.path) else {
        return Finding::skipped(id, "no path can be added to the public URL");
    };
    let mut request = Request::post(url.as_str())
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-zm-request-timestamp", now.timestamp().to_string())
        .header("x-zm-signature", secret.sign(now.timestamp(), body.as_bytes()));
    if let Some((name, value)) = added_header(doctor, endpoint) {
        request = request.header(name, value);
    }
    let Ok(request) = request.body(Bytes::from(body)) else {
        return Finding::skipped(id, "no challenge could be written");
    };
    let answer = match client.send(request).await {
        Ok(answer) => answer,
        Err(error) => return Finding::fault(id, chain(&error), remedy(&error, URL)),
    };
    let status = answer.status();
    let body = match answer.bytes_limited(MAX_ANSWER_BYTES).await {
        Ok(body) => body,
        Err(error) => return Finding::fault(id, chain(&error), remedy(&error, URL)),
    };
    if status != StatusCode::OK {
        return refused(endpoint, status);
    }
    let right = endpoint.secrets.get_or_first(0).answer(&token);
    match serde_json::from_slice::<ChallengeAnswer>(&body) {
        Ok(answer)
            if answer.plain_token == right.plain_token && answer.encrypted_token == right.encrypted_token =>
        {
            Finding::ok(
                id,
                format!("a challenge to {} is answered as Zoom expects it", endpoint.path),
            )
        }
        Ok(_) => wrong_secret(endpoint, "the challenge is answered under another secret"),
        Err(_) => Finding::fault(
            id,
            "200, but it is no answer to a challenge",
            "something else than this region answers: see the ingress's routes and its backend's pods",
        ),
    }
}

fn added_header(doctor: &Doctor, endpoint: &Endpoint<'_>) -> Option<(String, String)> {
    let first = |setting: &str| {
        let list = doctor.parts.variables.get(setting)?;
        list.split(',').map(str::trim).find(|entry| !entry.is_empty())
    };
    let (authorization, own) = endpoint.headers;
    if let Some(value) = first(authorization) {
        return Some(("authorization".to_owned(), value.to_owned()));
    }
    let (name, value) = first(own)?.split_once(':')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

fn refused(endpoint: &Endpoint<'_>, status: StatusCode) -> Finding {
    let id = endpoint.id;
    let found = format!(
        "a challenge to {} is answered with {}",
        endpoint.path,
        status.as_u16()
    );
    match status.as_u16() {
        421 => misdirected(id),
        401 | 403 => wrong_secret(endpoint, &found),
        404 | 405 => Finding::fault(
            id,
            found,
            format!(
                "the ingress does not route {} to this region, or the process there has it not",
                endpoint.path
            ),
        ),
        300..=399 => Finding::fault(
            id,
            found,
            "Zoom follows no redirect: let the ingress answer this host without one",
        ),
        413 => Finding::fault(
            id,
            found,
            "the ingress takes no body of this size: allow at least a megabyte",
        ),
        429 => Finding::fault(
            id,
            found,
            "the ingress limits the rate: Zoom must never be limited",
        ),
        _ => Finding::fault(
            id,
            found,
            "see the log of the process behind the public URL, and the ingress's",
        ),
    }
}

fn wrong_secret(endpoint: &Endpoint<'_>, found: &str) -> Finding {
    let remedy = format!(
        "the process that answers there has other secrets than {}: another region's or an older deployment's; give all \
         processes the same and see where DNS and the ingress lead",
        endpoint.secrets_setting
    );
    Finding::fault(endpoint.id, found, remedy)
}
