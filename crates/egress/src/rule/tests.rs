use proptest::prelude::*;

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn rule(text: &str) -> Result<HostRule, InvalidRule> {
    HostRule::for_url(&url(text))
}

#[test]
fn a_url_of_a_setting_allows_its_host_and_port_over_https() {
    let plain = rule("https://Storage.Example.com/bucket").unwrap();
    assert_eq!(plain.to_string(), "storage.example.com");
    assert!(plain.matches(&url("https://storage.example.com/x?y")));
    assert!(plain.matches(&url("https://storage.example.com:443/")));
    for other in [
        "http://storage.example.com/",
        "https://storage.example.com:8443/",
        "https://a.storage.example.com/",
        "https://storage.example.com./",
        "ftp://storage.example.com/",
        "https://example.com/",
    ] {
        assert!(!plain.matches(&url(other)), "{other}");
    }
    let with_port = rule("https://storage.example.com:9000").unwrap();
    assert!(with_port.matches(&url("https://storage.example.com:9000/")));
    assert!(!with_port.matches(&url("https://storage.example.com/")));
}

#[test]
fn a_loopback_host_of_a_setting_allows_http_and_every_port_of_that_host() {
    for host in ["localhost", "eu.localhost", "127.0.0.1", "127.0.0.9", "[::1]"] {
        let rule = rule(&format!("http://{host}:4000/")).unwrap();
        assert!(matches!(rule, HostRule::Loopback { .. }), "{host}");
        assert!(rule.matches(&url(&format!("http://{host}:5999/a"))));
        assert!(rule.matches(&url(&format!("https://{host}/a"))));
        assert!(!rule.matches(&url("http://127.0.0.77/")));
        assert!(!rule.matches(&url("https://zoom.us/")));
    }
    assert_eq!(
        rule("http://0x7f.1:1"),
        Ok(HostRule::Loopback {
            host: "127.0.0.1".to_owned()
        })
    );
}

#[test]
fn a_setting_cannot_name_plain_http_a_password_or_a_metadata_address() {
    assert!(matches!(
        rule("http://example.com"),
        Err(InvalidRule::NotHttps { .. })
    ));
    assert!(matches!(
        rule("ftp://localhost"),
        Err(InvalidRule::NotHttps { .. })
    ));
    assert!(matches!(
        rule("https://me:secret@example.com"),
        Err(InvalidRule::Userinfo { .. })
    ));
    assert!(matches!(
        rule("https://169.254.169.254"),
        Err(InvalidRule::ForbiddenAddress { .. })
    ));
    assert!(matches!(
        rule("https://[fd00:ec2::254]"),
        Err(InvalidRule::ForbiddenAddress { .. })
    ));
    assert_eq!(rule("data:text/plain,x"), Err(InvalidRule::NoHost));
    let shown = rule("https://me:secret@example.com").unwrap_err().to_string();
    assert!(!shown.contains("secret"));
}

#[test]
fn a_suffix_covers_the_domain_and_what_is_under_it_and_no_neighbour() {
    let zoom = HostRule::parse_suffix("Zoom.us").unwrap();
    for host in ["zoom.us", "us06web.zoom.us", "a.b.zoom.us"] {
        assert!(zoom.matches(&url(&format!("https://{host}/rec"))), "{host}");
    }
    for other in [
        "https://evilzoom.us/",
        "https://zoom.us.evil.com/",
        "https://zoom.us@evil.com/",
        "https://zoom.us:8443/",
        "http://zoom.us/",
        "https://us/",
        "https://zoom.us./",
        "https://zoom.xn--us-eka/",
    ] {
        assert!(!zoom.matches(&url(other)), "{other}");
    }
}

#[test]
fn a_suffix_is_a_domain_of_two_labels_or_a_loopback_host() {
    for bad in [
        "us",
        "*.zoom.us",
        ".zoom.us",
        "zoom.us.",
        "zoom..us",
        "10.0.0.1",
        "[2606:4700::1]",
        "zoom.us:443x",
        "zoom.us:8443",
        "https://zoom.us",
        "zoom.us/rec",
        "a@zoom.us",
        "",
        " zoom.us",
        "zoom.us\n",
    ] {
        assert!(HostRule::parse_suffix(bad).is_err(), "{bad:?}");
    }
    assert_eq!(
        HostRule::parse_suffix("localhost"),
        Ok(HostRule::Loopback {
            host: "localhost".to_owned()
        })
    );
}

#[test]
fn an_exact_host_may_carry_a_port() {
    assert_eq!(
        HostRule::parse_exact("collector.example.com:4318"),
        Ok(HostRule::Exact {
            host: "collector.example.com".to_owned(),
            port: Some(4318)
        })
    );
    assert!(matches!(
        HostRule::parse_exact("127.0.0.1"),
        Ok(HostRule::Loopback { .. })
    ));
    for bad in [
        "",
        "https://a.example",
        "a.example/x",
        "u@a.example",
        "*.example.com",
        "a b",
    ] {
        assert!(HostRule::parse_exact(bad).is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn a_suffix_matches_exactly_the_domain_and_its_subdomains(host in "[a-z]{1,4}(\\.[a-z]{1,4}){0,2}(\\.?zoom\\.us)?") {
        let zoom = HostRule::parse_suffix("zoom.us").unwrap();
        let expected = host == "zoom.us" || host.ends_with(".zoom.us");
        prop_assert_eq!(zoom.matches(&url(&format!("https://{host}/"))), expected);
    }

    #[test]
    fn no_text_makes_a_rule_panic(text in any::<String>()) {
        let _ = HostRule::parse_suffix(&text);
        let _ = HostRule::parse_exact(&text);
    }

    #[test]
    fn a_rule_matches_the_url_it_was_made_from(host in "[a-z]{1,9}\\.example", port in proptest::option::of(1_u16..)) {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let url = url(&format!("https://{host}{port}/path?query"));
        prop_assert!(HostRule::for_url(&url).unwrap().matches(&url));
    }
}
