//! The signature's headers and those that a subscription may add. Two lines are the headers, the rest is the body; the
//! first line doubles as a value of the added header.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use chrono::{TimeZone, Utc};
use domicile_kernel::{Secret, Timestamp};
use domicile_zoom::authorization::{RequiredAuthorization, RequiredOwnHeader};
use domicile_zoom::signature::{
    HeaderError, SIGNATURE_HEADER, SignatureError, SignatureHeaders, TIMESTAMP_HEADER, WebhookSecrets,
    Window, sign, verify,
};
use libfuzzer_sys::fuzz_target;

const TOKEN: &str = "the secret token of the fuzzer";

static SECRETS: LazyLock<WebhookSecrets> = LazyLock::new(|| {
    let tokens = [Secret::from("another"), Secret::from(TOKEN)];
    WebhookSecrets::new(&tokens).expect("two tokens")
});
static AUTHORIZATION: LazyLock<RequiredAuthorization> =
    LazyLock::new(|| "Bearer fuzz".parse().expect("a bearer token"));

fn at(seconds: i64) -> Timestamp {
    Utc.timestamp_opt(seconds, 0).single().unwrap_or_default()
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let (timestamp, signature, body) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    added_headers(timestamp, signature);
    duplicates(timestamp, signature);

    // The grammar, said once more in other words.
    let good_timestamp = (1..=12).contains(&timestamp.len()) && timestamp.iter().all(u8::is_ascii_digit);
    let good_signature = signature.len() == 67
        && signature.starts_with(b"v0=")
        && signature[3..]
            .iter()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let parsed = SignatureHeaders::parse(timestamp, signature);
    match &parsed {
        Ok(_) => assert!(good_timestamp && good_signature),
        Err(HeaderError::Malformed(name)) if *name == TIMESTAMP_HEADER => assert!(!good_timestamp),
        Err(HeaderError::Malformed(name)) => {
            assert_eq!(*name, SIGNATURE_HEADER);
            assert!(good_timestamp && !good_signature);
        }
        Err(other) => panic!("{other}"),
    }
    if !good_timestamp {
        return;
    }
    let seconds: i64 = std::str::from_utf8(timestamp)
        .expect("digits")
        .parse()
        .expect("twelve digits");
    let now = at(seconds);
    let window = Window::default();
    if let Ok(headers) = &parsed {
        // Nobody finds a signature by mutation.
        assert_eq!(
            verify(headers, &SECRETS, body, now, window),
            Err(SignatureError::Mismatch)
        );
    }
    // What is signed verifies at its own time and at no other. `sign` writes a time as Zoom does, without zeros before it.
    if timestamp != seconds.to_string().as_bytes() {
        return;
    }
    let signature = sign(&Secret::from(TOKEN), seconds, body);
    let headers =
        SignatureHeaders::parse(timestamp, signature.as_bytes()).expect("a true signature is well formed");
    let verified = verify(&headers, &SECRETS, body, now, window).expect("a true signature verifies");
    assert_eq!((verified.secret_index, verified.age_seconds), (1, 0));
    let late = window.max_age + Duration::from_secs(1);
    let stale = verify(&headers, &SECRETS, body, now + late, window);
    assert!(matches!(stale, Err(SignatureError::Stale { .. })));
    let early = window.max_ahead + Duration::from_secs(1);
    let future = verify(&headers, &SECRETS, body, now - early, window);
    assert!(matches!(future, Err(SignatureError::Future { .. })));
});

fn duplicates(timestamp: &[u8], signature: &[u8]) {
    for (times, signatures) in [(2, 1), (1, 2), (0, 1), (1, 0), (2, 2), (0, 0)] {
        let headers = SignatureHeaders::from_headers(|name| {
            let (value, count) = if name == TIMESTAMP_HEADER {
                (timestamp, times)
            } else {
                (signature, signatures)
            };
            std::iter::repeat_n(value, count)
        });
        let refused = matches!(headers, Err(HeaderError::Duplicated(_) | HeaderError::Missing(_)));
        assert!(refused, "{times} and {signatures}");
    }
}

fn added_headers(value: &[u8], setting: &[u8]) {
    let passes = AUTHORIZATION.0.check([value]).is_ok();
    let space = value.iter().position(|byte| *byte == b' ');
    let expected = space.is_some_and(|space| {
        value[..space].eq_ignore_ascii_case(b"bearer") && value[space..].trim_ascii_start() == b"fuzz"
    });
    assert_eq!(passes, expected);
    assert!(AUTHORIZATION.0.check([value, value]).is_err());
    let Ok(setting) = std::str::from_utf8(setting) else {
        return;
    };
    let _ = setting.parse::<RequiredAuthorization>();
    if let Ok(required) = setting.parse::<RequiredOwnHeader>() {
        assert!(required.0.name().starts_with("x-"));
        assert!(required.0.check(std::iter::empty()).is_err());
        let _ = required.0.check([value]);
    }
}
