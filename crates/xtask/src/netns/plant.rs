//! The planted attempt: Zoom leads a region's download into the other region, and the fence keeps the region from going.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bytes::Bytes;
use domicile_egress::RefusedReason;
use http::{Method, Request};
use serde_json::json;

use crate::demo::story::{ALICE, Story, Waiting};
use crate::dev::http::Http;
use crate::dev::stack::{Region, at};
use crate::dev::zoom::list;
use crate::run::{Failure, Outcome};

/// More than a region ever tries.
const ALWAYS: u32 = 1000;

/// Why the fence refuses: no setting names the other region's host.
const WHY: RefusedReason = RefusedReason::Host;

/// Makes every download of a recording lead to the other region, and waits until the region has refused each.
/// Gives the number of refusals.
pub(crate) async fn plant(story: &mut Story, other: SocketAddr) -> Outcome<u64> {
    story
        .report
        .step("Zoom leads a download into the other region: the fence refuses");
    let to = format!("http://{other}/zoom/events");
    let redirect = json!({
        "target": "download", "fault": { "kind": "redirected", "to": to },
        "times": ALWAYS, "user_id": story.person.id,
    });
    let before = refusals(&story.http, &story.region).await?;
    if before > 0 {
        return Err(Failure(format!(
            "the fence refused {before} calls of the story itself"
        )));
    }
    story
        .zoom
        .order(Method::POST, &["faults"], Some(&redirect))
        .await?;
    let meeting = story.record("Astray", 200_000).await?;
    let mut waiting = Waiting::new("every download that leads to the other region to fail");
    let files = loop {
        waiting.tick().await?;
        let found = story.app_api(&["recordings"], &[("subject", ALICE.1)]).await?;
        let recording = list(&found["data"])
            .iter()
            .find(|it| it["meeting"]["uuid"] == meeting.uuid.as_str());
        let Some(recording) = recording else {
            continue;
        };
        waiting.last = recording.to_string();
        let files = list(&recording["files"]);
        if let Some(stored) = files.iter().find(|file| file["status"] == "stored") {
            return Err(Failure(format!("a file came from the other region: {stored}")));
        }
        if files.len() == 4 && files.iter().all(|file| file["status"] == "failed") {
            break files.len() as u64;
        }
    };
    let refused = refusals(&story.http, &story.region).await?;
    if refused < files {
        return Err(Failure(format!(
            "{files} downloads failed, and the fence counts {refused} refusals"
        )));
    }
    story.report.proof("redirect", to);
    story
        .report
        .proof("files", format!("{files}, all failed, none stored"));
    story
        .report
        .proof("calls refused", format!("{refused}, reason {}", WHY.as_str()));
    Ok(refused)
}

/// What the operations listener says of the fence: the calls refused for their host. Others are a failure.
async fn refusals(http: &Http, region: &Region) -> Outcome<u64> {
    let url = at(region.ops, "/metrics");
    let answer = http.call(Request::get(url.as_str()).body(Bytes::new())?).await?;
    let text = answer.text();
    let mut found = None;
    for line in text
        .lines()
        .filter(|line| line.starts_with("domicile_egress_refused"))
    {
        let count = line
            .rsplit(' ')
            .next()
            .and_then(|count| count.parse::<f64>().ok());
        let count = count.ok_or_else(|| Failure(format!("{url} says {line}")))?;
        if line.contains(&format!("reason=\"{}\"", WHY.as_str())) {
            found = Some(count);
        } else if count > 0.0 {
            return Err(Failure(format!("the fence refused something else: {line}")));
        }
    }
    let found = found.ok_or_else(|| Failure(format!("{url} does not tell of the fence")))?;
    // A counter is a whole number, and this one is small.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(found as u64)
}

/// What a stopped region has written down about whom it talked to.
pub(crate) struct Records {
    /// `host:port` with what for.
    pub(crate) let_out: BTreeSet<String>,
    /// How many calls were refused.
    pub(crate) refused: u64,
    /// How many audit entries say so.
    pub(crate) audited: usize,
}

/// Reads `egress_contacts` and the audit; anything but the planted refusals and loopback hosts is a failure.
pub(crate) async fn records(database_url: &str, other: SocketAddr) -> Outcome<Records> {
    let (client, connection) = tokio_postgres::connect(database_url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let contacts = "SELECT outcome, host, port, purpose, reason, calls FROM egress_contacts";
    let mut records = Records {
        let_out: BTreeSet::new(),
        refused: 0,
        audited: 0,
    };
    for row in client.query(contacts, &[]).await? {
        let (outcome, host, port): (&str, &str, i32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (purpose, reason, calls): (&str, &str, i64) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
        let calls = u64::try_from(calls)?;
        match outcome {
            "let_out" if host == "127.0.0.1" || host.ends_with(".localhost") => {
                records.let_out.insert(format!("{host}:{port} {purpose}"));
            }
            "refused" if host == other.ip().to_string() && reason == WHY.as_str() => records.refused += calls,
            _ => {
                return Err(Failure(format!(
                    "egress_contacts has a stranger: {outcome} {host}:{port} {purpose} {reason}"
                )));
            }
        }
    }
    let audit = "SELECT actor, outcome, reason FROM audit_entries WHERE action = 'egress.call'";
    for row in client.query(audit, &[]).await? {
        let entry: (&str, &str, Option<&str>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if entry != ("service", "refused", Some(WHY.as_str())) {
            return Err(Failure(format!("the audit has a strange entry: {entry:?}")));
        }
        records.audited += 1;
    }
    connection.abort();
    Ok(records)
}
