use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::rule::HostRule;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn exact(text: &str) -> HostRule {
    HostRule::parse_exact(text).unwrap()
}

fn fence() -> Fence {
    Fence::builder()
        .setting("DOMICILE_ZOOM_HOSTS", "Zoom's API and downloads")
        .setting("DOMICILE_EGRESS_ALLOW", "further hosts")
        .allow("DOMICILE_ZOOM_HOSTS", HostRule::parse_suffix("zoom.us").unwrap())
        .allow("DOMICILE_APP_EVENTS_URL", exact("localhost"))
        .allow("AWS_ENDPOINT_URL", exact("minio.internal:9000").internal())
        .allow("AWS_ENDPOINT_URL", exact("10.1.2.3").internal())
        .build()
}

fn reason(text: &str) -> Option<RefusedReason> {
    fence().check(&url(text)).err().map(|refused| refused.reason())
}

#[test]
fn what_a_setting_names_passes() {
    for allowed in [
        "https://api.zoom.us/v2",
        "http://localhost:3000/events",
        "https://minio.internal:9000/bucket",
        "https://10.1.2.3/",
    ] {
        assert_eq!(reason(allowed), None, "{allowed}");
    }
}

#[test]
fn everything_else_is_refused_for_its_reason() {
    for (refused, why) in [
        ("http://api.zoom.us/", RefusedReason::Scheme),
        ("ftp://zoom.us/", RefusedReason::Scheme),
        ("file:///etc/passwd", RefusedReason::Scheme),
        ("https://user@zoom.us/", RefusedReason::Userinfo),
        ("https://:pw@zoom.us/", RefusedReason::Userinfo),
        ("https://evil.example/", RefusedReason::Host),
        ("https://eu2.example/", RefusedReason::Host),
        ("http://127.0.0.1/", RefusedReason::Host),
        ("https://[::1]/", RefusedReason::Host),
        ("https://10.1.2.4/", RefusedReason::Host),
        ("https://zoom.us:8443/", RefusedReason::Port),
        ("https://minio.internal/", RefusedReason::Port),
    ] {
        assert_eq!(reason(refused), Some(why), "{refused}");
    }
}

#[test]
fn a_refusal_names_the_settings_and_nothing_of_path_or_query() {
    let refused = fence()
        .check(&url("https://evil.example/secret-path?token=abc"))
        .unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("DOMICILE_ZOOM_HOSTS (Zoom's API and downloads)"),
        "{text}"
    );
    assert!(text.contains("DOMICILE_EGRESS_ALLOW (further hosts)"), "{text}");
    assert!(text.contains("evil.example"), "{text}");
    assert!(!text.contains("secret-path") && !text.contains("abc"), "{text}");
    assert!(!format!("{refused:?}").contains("abc"));

    let port = fence().check(&url("https://zoom.us:8443/")).unwrap_err();
    assert_eq!(
        port.settings(),
        ["DOMICILE_ZOOM_HOSTS (Zoom's API and downloads)"]
    );
}

#[test]
fn nobody_outside_can_name_an_internal_host() {
    let fence = fence();
    for internal in ["https://minio.internal:9000/bucket", "https://10.1.2.3/"] {
        assert!(fence.check(&url(internal)).is_ok());
        let refused = fence.check_foreign(&url(internal)).unwrap_err();
        assert_eq!(refused.reason(), RefusedReason::Host, "{internal}");
    }
    assert!(fence.check_foreign(&url("https://zoom.us/")).is_ok());
}

#[test]
fn a_name_keeps_only_the_addresses_that_its_rule_reaches() {
    let ips = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
    let fence = fence();
    let all = ips(&[
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "8.8.8.8",
        "::ffff:10.0.0.1",
    ]);
    let reached = |host: &str, by| fence.filter(host, all.clone(), by).unwrap();
    assert_eq!(reached("zoom.us", NamedBy::Operator), ips(&["8.8.8.8"]));
    assert_eq!(reached("localhost", NamedBy::Operator), ips(&["127.0.0.1"]));
    assert_eq!(
        reached("minio.internal", NamedBy::Operator),
        ips(&["10.0.0.1", "8.8.8.8", "::ffff:10.0.0.1"])
    );
    for (host, by, reason) in [
        ("minio.internal", NamedBy::Outsider, RefusedReason::Host),
        ("evil.example", NamedBy::Operator, RefusedReason::Host),
    ] {
        assert_eq!(fence.filter(host, all.clone(), by).unwrap_err().reason(), reason);
    }
    let private = fence.filter("files.zoom.us", ips(&["192.168.0.1"]), NamedBy::Operator);
    assert_eq!(private.unwrap_err().reason(), RefusedReason::ResolvedAddress);
}

/// The ways in which the `url` crate (WHATWG URL, "IPv4 parser") lets one write an address.
fn notations(v4: Ipv4Addr) -> Vec<String> {
    let number = u32::from(v4);
    let [a, b, c, d] = v4.octets();
    vec![
        v4.to_string(),
        number.to_string(),
        format!("0x{number:x}"),
        format!("0{number:o}"),
        format!("{a}.{}", number & 0x00ff_ffff),
        format!("{a}.{b}.{}", number & 0xffff),
        format!("0x{a:X}.0{b:o}.{c}.0x{d:x}"),
        format!("{v4}."),
        format!("%3{}{}", a.to_string().as_bytes()[0] - b'0', &v4.to_string()[1..]),
        format!("[::ffff:{v4}]"),
        format!("[::ffff:{:x}:{:x}]", number >> 16, number & 0xffff),
        format!("[64:ff9b::{v4}]"),
        format!("[2002:{:x}:{:x}::1]", number >> 16, number & 0xffff),
        format!("[::{v4}]"),
    ]
}

proptest! {
    /// Even a rule that names the very host does not let a private address out, however it is written.
    #[test]
    fn no_notation_of_a_private_or_local_address_passes(
        v4 in prop_oneof![
            any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(10, b, c, d)),
            any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(127, b, c, d)),
            any::<[u8; 2]>().prop_map(|[c, d]| Ipv4Addr::new(192, 168, c, d)),
            any::<[u8; 2]>().prop_map(|[c, d]| Ipv4Addr::new(169, 254, c, d)),
        ]
    ) {
        for notation in notations(v4) {
            let Ok(url) = Url::parse(&format!("https://{notation}/latest/meta-data")) else { continue };
            let host = url.host_str().unwrap().to_owned();
            let fence = Fence::builder().allow("X", HostRule::Exact { host, port: None }).build();
            let refused = fence.check(&url).expect_err(&notation);
            prop_assert_eq!(refused.reason(), RefusedReason::Address, "{}", notation);
        }
    }

    #[test]
    fn no_url_makes_the_fence_panic(text in "(https?|ftp|data):(//)?\\PC{0,40}") {
        if let Ok(url) = Url::parse(&text) {
            let _ = fence().check(&url).map_err(|refused| refused.to_string());
        }
    }
}
