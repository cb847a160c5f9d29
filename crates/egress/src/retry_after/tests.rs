use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn now() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

fn wait(value: &str) -> Option<u64> {
    let mut headers = HeaderMap::new();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_str(value).ok()?);
    retry_after(&headers, &now()).map(|wait| wait.as_secs())
}

#[test]
fn all_forms_of_the_same_minute_are_read() {
    for form in [
        "60",
        " 60 ",
        "59.2",
        "Sun, 22 Nov 2026 08:01:00 GMT",
        "Sunday, 22-Nov-26 08:01:00 GMT",
        "Sun Nov 22 08:01:00 2026",
        "2026-11-22T08:01:00Z",
        "2026-11-22T08:01:00.000Z",
        "2026-11-22T09:01:00+01:00",
        "2026-11-22T09:01:00+0100",
        "2026-11-22T08:01:00",
        "2026-11-22 08:01:00",
    ] {
        assert_eq!(wait(form), Some(60), "{form}");
    }
}

#[test]
fn the_past_means_no_wait_and_the_far_future_a_week() {
    assert_eq!(wait("2020-01-01T00:00:00Z"), Some(0));
    assert_eq!(wait("0"), Some(0));
    assert_eq!(wait("99999999999999999999999"), Some(604_800));
    assert_eq!(wait("2999-01-01T00:00:00Z"), Some(604_800));
}

#[test]
fn what_is_none_of_the_forms_says_nothing() {
    for form in ["", "soon", "-5", "1e3", "60s", ".", "5.", "2026-13-01T00:00:00Z"] {
        assert_eq!(wait(form), None, "{form:?}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), &now()), None);
}

proptest! {
    #[test]
    fn no_text_panics_or_exceeds_the_limit(text in "\\PC{0,40}|[0-9T:.+ -]{0,30}Z?") {
        if let Some(seconds) = wait(&text) {
            prop_assert!(seconds <= 604_800);
        }
    }
}
