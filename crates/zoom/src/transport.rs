//! One request to Zoom, with the difference that matters for single-use tokens: was it sent or not?

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use domicile_egress::{Client, EgressError};
use domicile_kernel::{Clock, Timestamp};
use http::{HeaderMap, Request, StatusCode, header};

use crate::metrics::METRICS;

/// An answer that took longer says nothing of clocks.
const LONGEST_ROUND_TRIP: TimeDelta = TimeDelta::seconds(2);

/// An answer that was read whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
pub(crate) enum NoAnswer {
    /// Zoom cannot have seen the request.
    NotSent(EgressError),
    /// Zoom may have acted on it.
    Lost(EgressError),
}

/// Sends the request and reads at most `max_bytes` of the answer, whose `Date` says how far this clock is ahead of Zoom's.
pub(crate) async fn send(
    client: &Client,
    clock: &dyn Clock,
    request: Request<Bytes>,
    max_bytes: usize,
) -> Result<Answer, NoAnswer> {
    let before = clock.now();
    let response = client.send(request).await.map_err(|error| {
        if error.may_have_arrived() {
            NoAnswer::Lost(error)
        } else {
            NoAnswer::NotSent(error)
        }
    })?;
    let status = response.status();
    let headers = response.headers().clone();
    if let Some(ahead) = skew(before, &headers, clock.now()) {
        METRICS.clock_skew(ahead);
    }
    let body = response.bytes_limited(max_bytes).await.map_err(NoAnswer::Lost)?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}

/// By how many seconds the middle of the round trip is ahead of the answer's `Date`, which is cut to whole seconds (RFC 9110,
/// section 6.6.1): on average half a second has passed since.
fn skew(before: Timestamp, headers: &HeaderMap, after: Timestamp) -> Option<f64> {
    let round_trip = after - before;
    let date = DateTime::parse_from_rfc2822(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    let zoom = date.with_timezone(&Utc) + TimeDelta::milliseconds(500);
    let trustworthy = (TimeDelta::zero()..=LONGEST_ROUND_TRIP).contains(&round_trip);
    trustworthy.then(|| ((before + round_trip / 2) - zoom).as_seconds_f64())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(date: &'static str, round_trip: TimeDelta) -> Option<f64> {
        let headers = HeaderMap::from_iter([(header::DATE, HeaderValue::from_static(date))]);
        // 2026-11-22T08:00:00Z
        let before = DateTime::from_timestamp(1_795_334_400, 0)?;
        skew(before, &headers, before + round_trip)
    }

    #[test]
    fn zooms_date_is_compared_with_the_middle_of_the_round_trip() {
        let second = TimeDelta::seconds(1);
        assert_eq!(of("Sun, 22 Nov 2026 08:00:00 GMT", second), Some(0.0));
        assert_eq!(of("Sun, 22 Nov 2026 07:59:00 GMT", second), Some(60.0));
        assert_eq!(of("Sun, 22 Nov 2026 08:01:00 GMT", second), Some(-60.0));
    }

    #[test]
    fn a_slow_answer_or_no_date_says_nothing() {
        assert_eq!(of("Sun, 22 Nov 2026 08:00:00 GMT", TimeDelta::seconds(3)), None);
        assert_eq!(of("yesterday", TimeDelta::seconds(1)), None);
        let before = DateTime::from_timestamp(0, 0).unwrap();
        assert_eq!(skew(before, &HeaderMap::new(), before), None);
    }
}
