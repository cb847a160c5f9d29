//! Further hosts that may be called: whether each has an address, and somebody answers.

use bytes::Bytes;
use domicile_egress::{Client, EgressError, HostRule};
use futures_util::{StreamExt, stream};
use http::{Method, Request};

use super::network::{chain, remedy};
use super::report::Finding;
use super::{AT_ONCE, Doctor, client};
use crate::region::collector;

const ALLOWED: &str = "egress.allowed";
const COLLECTOR: &str = "egress.collector";
const ALLOW: &str = "DOMICILE_EGRESS_ALLOW";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

pub(super) async fn examine(doctor: &Doctor) -> Vec<Finding> {
    let mut findings = allowed(doctor).await;
    findings.push(collected(doctor).await);
    findings
}

async fn allowed(doctor: &Doctor) -> Vec<Finding> {
    let rules = &doctor.parts.egress_allow;
    if rules.is_empty() {
        return vec![Finding::skipped(
            ALLOWED,
            doctor.absent(ALLOW, "nothing further may be called"),
        )];
    }
    let client = match doctor.egress() {
        Ok(egress) => client(&egress),
        Err(why) => return vec![Finding::skipped(ALLOWED, why)],
    };
    stream::iter(rules.clone())
        .map(|rule| {
            let client = client.clone();
            async move { answers(&rule, &client).await }
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}

async fn answers(rule: &HostRule, client: &Client) -> Finding {
    let HostRule::Exact { host, port } = rule else {
        return Finding::skipped(ALLOWED, format!("{rule}: no one port could be tried"));
    };
    let url = port.map_or_else(
        || format!("https://{host}/"),
        |port| format!("https://{host}:{port}/"),
    );
    match head(client, &url).await {
        Ok(()) => Finding::ok(ALLOWED, format!("{rule} answers")),
        Err(error) => Finding::fault(ALLOWED, chain(&error), remedy(&error, ALLOW)),
    }
}

async fn collected(doctor: &Doctor) -> Finding {
    let Some(endpoint) = &doctor.parts.otlp_endpoint else {
        return Finding::skipped(COLLECTOR, doctor.absent(ENDPOINT, "nothing is exported"));
    };
    match collector(endpoint) {
        Err(error) => Finding::fault(COLLECTOR, chain(&error), format!("correct {ENDPOINT}")),
        // Telemetry is no reason not to work.
        Ok(client) => match head(&client, endpoint.as_str()).await {
            Ok(()) => Finding::ok(COLLECTOR, "the collector answers"),
            Err(error) => Finding::warning(COLLECTOR, chain(&error), remedy(&error, ENDPOINT)),
        },
    }
}

/// Any answer will do.
async fn head(client: &Client, url: &str) -> Result<(), EgressError> {
    let request = Request::builder()
        .method(Method::HEAD)
        .uri(url)
        .body(Bytes::new())
        .map_err(|_| EgressError::InvalidRequest)?;
    client.send(request).await.map(drop)
}
