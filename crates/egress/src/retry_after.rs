//! How long the other side asks us to wait.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use domicile_kernel::Timestamp;
use http::{HeaderMap, header};

/// Waits longer than this are cut to it, so that one nonsensical answer cannot stop a job for good.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// The wait that `Retry-After` names: seconds or an HTTP date (RFC 9110, section 10.2.3), or an ISO 8601 date-time as
/// Zoom sends with its daily limit ("API rate limits" page). A date in the past means no wait; at most seven days are
/// returned. `None` when the header is missing or says none of these.
pub fn retry_after(headers: &HeaderMap, now: &Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match seconds(text) {
        Some(wait) => wait,
        None => (date(text)? - now).to_std().unwrap_or(Duration::ZERO),
    };
    Some(wait.min(LONGEST))
}

/// Whole seconds; a fraction, which some servers send, is rounded up.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let more = u64::from(fraction.bytes().any(|b| b != b'0'));
    // More digits than a u64 holds is merely very long.
    let seconds = whole.parse().unwrap_or(u64::MAX);
    Some(Duration::from_secs(seconds.saturating_add(more)))
}

fn date(text: &str) -> Option<Timestamp> {
    let utc = |date: DateTime<chrono::FixedOffset>| date.with_timezone(&Utc);
    let naive = |format: &str| {
        NaiveDateTime::parse_from_str(text, format)
            .ok()
            .map(|date| date.and_utc())
    };
    DateTime::parse_from_rfc3339(text)
        .map(utc)
        .ok()
        .or_else(|| DateTime::parse_from_rfc2822(text).map(utc).ok())
        .or_else(|| {
            DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z")
                .map(utc)
                .ok()
        })
        // The two obsolete forms of an HTTP date, then ISO 8601 without an offset.
        .or_else(|| naive("%A, %d-%b-%y %H:%M:%S GMT"))
        .or_else(|| naive("%a %b %e %H:%M:%S %Y"))
        .or_else(|| naive("%Y-%m-%dT%H:%M:%S%.f"))
        .or_else(|| naive("%Y-%m-%d %H:%M:%S%.f"))
}

#[cfg(test)]
mod tests;
