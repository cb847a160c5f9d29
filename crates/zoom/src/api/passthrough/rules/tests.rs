use super::*;
use proptest::prelude::*;
use url::Url;

const DEFAULT: &str = "GET /users/me, GET /users/me/recordings, GET /users/me/meetings, GET /users/{userId}, \
    GET /users/{userId}/recordings, GET /users/{userId}/meetings, GET /meetings/{meetingId}, \
    GET /meetings/{meetingId}/recordings, GET /meetings/{meetingId}/transcript";

fn rules(text: &str) -> CallRules {
    text.parse().unwrap()
}

/// What is sent, and by which pattern.
fn allowed(path: &str) -> Result<(String, String), CallRefused> {
    let call = rules(DEFAULT).allow(&Method::GET, path, "")?;
    Ok((call.path, call.pattern))
}

#[test]
fn a_listed_call_is_sent_as_it_was_matched() {
    for (path, sent, pattern) in [
        ("users/me", "users/me", "/users/me"),
        ("users/%6d%65", "users/me", "/users/me"),
        (
            "users/KDcuGIm1QgePTO8WbOqwIQ",
            "users/KDcuGIm1QgePTO8WbOqwIQ",
            "/users/{userId}",
        ),
        (
            "users/jane@example.com/recordings",
            "users/jane%40example.com/recordings",
            "/users/{userId}/recordings",
        ),
        (
            "users/me/recordings",
            "users/me/recordings",
            "/users/me/recordings",
        ),
        (
            "meetings/81234567890",
            "meetings/81234567890",
            "/meetings/{meetingId}",
        ),
        (
            "meetings/ajXp112QmuoKj4854875==/recordings",
            "meetings/ajXp112QmuoKj4854875%3D%3D/recordings",
            "/meetings/{meetingId}/recordings",
        ),
        (
            "meetings/4444AAAiAAAA%2FiAiAiiAii==/transcript",
            "meetings/4444AAAiAAAA%2FiAiAiiAii%3D%3D/transcript",
            "/meetings/{meetingId}/transcript",
        ),
    ] {
        assert_eq!(allowed(path), Ok((sent.to_owned(), pattern.to_owned())), "{path}");
    }
}

#[test]
fn a_uuid_is_encoded_as_zoom_needs_it_however_the_client_encoded_it() {
    for (uuid, sent) in [
        (
            "%2F444AAAiAAAAAiAiAiiAii%3D%3D",
            "%252F444AAAiAAAAAiAiAiiAii%253D%253D",
        ),
        (
            "%252F444AAAiAAAAAiAiAiiAii%253D%253D",
            "%252F444AAAiAAAAAiAiAiiAii%253D%253D",
        ),
        (
            "4444AAAi%2f%2FAAAiAiAiiAii==",
            "4444AAAi%252F%252FAAAiAiAiiAii%253D%253D",
        ),
        ("4444AAAi%252FAAAAiAiAiiAii==", "4444AAAi%2FAAAAiAiAiiAii%3D%3D"),
    ] {
        let path = format!("meetings/{uuid}/recordings");
        let expected = format!("meetings/{sent}/recordings");
        assert_eq!(allowed(&path).map(|(sent, _)| sent), Ok(expected), "{uuid}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for path in [
        "",
        "/users/me",
        "users//me",
        "users/me/",
        "users/./me",
        "users/../users/me",
        "users/%2e%2e/accounts",
        "users/%252e%252e/accounts",
        "users/%25252e",
        "users/...",
        "users/.%2e",
        "users/me%2Frecordings",
        "users/me%252Frecordings",
        "users/KDcuGIm1QgePTO8WbOqwIQ%252Ftoken",
        "users%2Fme",
        "users/me\\..",
        "users/me%5C",
        "users/me%255C",
        "users/me%00",
        "users/me%0d%0aHost:%20evil",
        "users/me%7f",
        "users/me?x",
        "users/me%3Fx",
        "users/me#x",
        "users/me%23x",
        "users/me;x=1",
        "users/me%3Bx=1",
        "users/%",
        "users/%4",
        "users/%zz",
        "users/%ff",
        "users/%C3%A4",
        "users/%E3%80%82%E3%80%82",
        "users/@evil.example:443",
        "meetings/..%2F..%2Fusers%2Fme",
        "meetings/81234567890%2Frecordings",
        "meetings/..%2F4AAAiAAAAAiAiAii%2F..==%2F",
    ] {
        assert_eq!(allowed(path), Err(CallRefused::Path), "{path}");
    }
}

#[test]
fn what_is_not_listed_is_refused() {
    for path in [
        "users",
        "accounts",
        "users/me/token",
        "users/me/zak",
        "users/me/settings",
        "meetings/81234567890/registrants",
        // Endpoints of Zoom's own that stand where an id could.
        "users/zpk",
        "users/vanity_name",
        "users/email",
        "meetings/meeting_summaries",
        "meetings/me",
        "Users/me",
        "USERS/ME",
        // A uuid with a slash names a meeting and nobody else.
        "users/4444AAAiAAAA%2FiAiAiiAii==",
    ] {
        assert_eq!(allowed(path), Err(CallRefused::NotListed), "{path}");
    }
    for method in [Method::POST, Method::DELETE, Method::HEAD, Method::OPTIONS] {
        let refused = rules(DEFAULT).allow(&method, "users/me", "").unwrap_err();
        assert_eq!(refused, CallRefused::NotListed, "{method}");
    }
    assert!(rules("none").allow(&Method::GET, "users/me", "").is_err());
}

#[test]
fn a_query_passes_unless_it_asks_for_a_credential() {
    let query = |text: &str| {
        rules(DEFAULT)
            .allow(&Method::GET, "users/me", text)
            .map(|call| call.query)
    };
    let pairs = query("from=2026-11-01&next_page_token=a%2Bb%2F&q=x+y&include_fields=a,b_c").unwrap();
    assert_eq!(
        pairs,
        [
            ("from", "2026-11-01"),
            ("next_page_token", "a+b/"),
            ("q", "x y"),
            ("include_fields", "a,b_c"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    for text in [
        "access_token=x",
        "ACCESS_TOKEN=x",
        "%61ccess_token=x",
        "access_token[]=x",
        "include_fields=download_access_token",
        "include_fields=a,%20download_access_token",
        "include_fields=Download_Access_Token",
        "include_fields=download_access%255ftoken",
        "include%5Ffields=download_access_token",
        "include_fields[]=download_access_token",
        "include%255ffields=download_access_token",
        "=x",
        "a%00=x",
        "a=%00",
        "a=%0d%0a",
        "a=%ff",
    ] {
        assert!(matches!(query(text), Err(CallRefused::Query(_))), "{text}");
    }
    assert!(query(&format!("a={}", "x".repeat(MAX_QUERY_BYTES))).is_err());
}

#[test]
fn each_fault_of_the_setting_is_named() {
    let form = |entry: &str| InvalidCallRules::Form(entry.to_owned());
    for (text, expected) in [
        ("", form("")),
        ("GET", form("GET")),
        ("GET users/me", form("GET users/me")),
        ("GET /users//me", form("GET /users//me")),
        ("GET /users/*", form("GET /users/*")),
        ("GET /users/{}", form("GET /users/{}")),
        ("GET /users/{a}b", form("GET /users/{a}b")),
        ("GET /users/{**}", form("GET /users/{**}")),
        ("GET /users/..", form("GET /users/..")),
        ("GET /users/%2e", form("GET /users/%2e")),
        (
            "get /users/me",
            InvalidCallRules::Method("get /users/me".to_owned()),
        ),
        (
            "ANY /users/me",
            InvalidCallRules::Method("ANY /users/me".to_owned()),
        ),
        (
            "GET /users/{userId}/token",
            InvalidCallRules::Credential("GET /users/{userId}/token".to_owned()),
        ),
        (
            "GET /users/me/zak",
            InvalidCallRules::Credential("GET /users/me/zak".to_owned()),
        ),
        (
            "GET /users/{a}, GET /users/{b}",
            InvalidCallRules::Twice("GET /users/{b}".to_owned()),
        ),
    ] {
        assert_eq!(text.parse::<CallRules>().unwrap_err(), expected, "{text}");
    }
    assert_eq!(rules(DEFAULT).to_string(), DEFAULT);
    assert_eq!(rules("none").to_string(), "none");
}

/// How Zoom may read a segment: as it is, decoded once, or decoded once too often.
fn readings(segment: &str) -> Vec<String> {
    let decode = |text: &str| {
        let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
        let value = form_urlencoded::parse(pair.as_bytes()).next();
        value.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let once = decode(segment);
    let twice = decode(&once);
    vec![segment.to_owned(), once, twice]
}

fn hostile_segment() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("%2F"),
        Just("%2f"),
        Just("%252F"),
        Just("%25252F"),
        Just("/"),
        Just("."),
        Just(".."),
        Just("%2e"),
        Just("%252e"),
        Just("\\"),
        Just("%5c"),
        Just("%255C"),
        Just("%00"),
        Just("%0a"),
        Just("?"),
        Just("%3F"),
        Just("#"),
        Just("%23"),
        Just(";"),
        Just("%"),
        Just("%25"),
        Just("users"),
        Just("me"),
        Just("meetings"),
        Just("recordings"),
        Just("token"),
        Just("4444AAAiAAAAAiAiAiiAii=="),
        Just("==="),
        Just("A1"),
        Just("81234567890"),
        Just("@"),
        Just(":"),
        Just("ä"),
        Just("%C3%A4"),
        Just(" "),
        Just("+"),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// However Zoom reads what is sent, it finds as many segments as the pattern has, the pattern's literals where the
    /// pattern has them, and in place of an id neither a step up, nor a name of Zoom's own, nor another segment.
    #[test]
    fn nothing_that_is_let_through_reaches_zoom_under_another_pattern(
        first in prop_oneof![Just("users".to_owned()), Just("meetings".to_owned()), hostile_segment()],
        rest in prop::collection::vec(
            prop_oneof![hostile_segment(), "[A-Za-z0-9+/=%._~@-]{0,24}", "[A-Za-z0-9+/]{22}==", "\\PC{0,6}"], 0..3),
    ) {
        let path = [vec![first], rest].concat().join("/");
        if let Ok((sent, pattern)) = allowed(&path) {
            let url = Url::parse(&format!("https://api.zoom.us/v2/{sent}")).unwrap();
            prop_assert_eq!(url.host_str(), Some("api.zoom.us"));
            prop_assert_eq!(url.path(), &format!("/v2/{sent}"), "a parser changes nothing");
            prop_assert!(url.query().is_none() && url.fragment().is_none());
            let (segments, parts): (Vec<_>, Vec<_>) =
                (sent.split('/').collect(), pattern[1..].split('/').collect());
            prop_assert_eq!(segments.len(), parts.len());
            for (segment, part) in segments.into_iter().zip(parts) {
                if !part.starts_with('{') {
                    prop_assert_eq!(segment, part);
                    continue;
                }
                for reading in readings(segment) {
                    let uuid = reading.len() == 24 && reading.ends_with("==");
                    prop_assert!(!reading.is_empty() && !reading.bytes().all(|b| b == b'.'), "{}", reading);
                    prop_assert!(!reading.contains(['\\', '?', '#', ';', ':', ' ']), "{}", reading);
                    prop_assert!(!reading.chars().any(char::is_control), "{}", reading);
                    prop_assert!(!reading.contains('/') || (uuid && part == "{meetingId}"), "{}", reading);
                    let name = reading.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                    prop_assert!(!name || (part == "{userId}" && reading == "me"), "{}", reading);
                }
            }
        }
    }

    #[test]
    fn every_meeting_uuid_gets_through_whether_the_client_encodes_it_once_or_twice(uuid in "[A-Za-z0-9+/]{22}==") {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let once = encode(&uuid);
        let sent = |encoded: &str| allowed(&format!("meetings/{encoded}/recordings"));
        let expected = crate::api::encode_meeting_uuid(&domicile_kernel::MeetingUuid::new(uuid.as_str()));
        let expected = Ok((format!("meetings/{expected}/recordings"), "/meetings/{meetingId}/recordings".to_owned()));
        prop_assert_eq!(sent(&once), expected.clone());
        prop_assert_eq!(sent(&encode(&once)), expected);
    }

    #[test]
    fn no_text_is_a_panic(path in "\\PC*", query in "\\PC*", setting in "\\PC*") {
        let _ = rules(DEFAULT).allow(&Method::GET, &path, &query);
        let _ = setting.parse::<CallRules>();
    }
}
