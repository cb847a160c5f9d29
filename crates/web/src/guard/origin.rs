//! What the ingress says of a caller, as far as a log may hold it.

use std::net::IpAddr;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Envoy's: `Hash=..;Subject="..";URI=..`, one element for each proxy.
const FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
/// ingress-nginx's, and those that nginx is usually told to send: outcome and subject.
const CLIENT_VERIFY: [(HeaderName, HeaderName); 2] = [
    (
        HeaderName::from_static("ssl-client-verify"),
        HeaderName::from_static("ssl-client-subject-dn"),
    ),
    (
        HeaderName::from_static("x-ssl-client-verify"),
        HeaderName::from_static("x-ssl-client-s-dn"),
    ),
];
const MAX_SUBJECT_BYTES: usize = 200;

/// What the ingress said of the caller of one of Zoom's endpoints. It is told in the request line and decides nothing:
/// without an ingress that sets these headers they are the caller's own words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The right-most entry of `X-Forwarded-For`, which the nearest proxy added, where it is an IP address.
    pub address: Option<IpAddr>,
    /// The certificate that the ingress was shown, where it says so.
    pub certificate: Option<Box<ClientCertificate>>,
}

/// A client certificate, as the ingress tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    verified: bool,
    subject: Option<Box<str>>,
}

impl ClientCertificate {
    /// `verified`, or `failed` where the ingress let a certificate through that it could not verify.
    pub fn outcome(&self) -> &'static str {
        if self.verified { "verified" } else { "failed" }
    }

    /// Its subject: at most 200 bytes of visible ASCII, every other byte a question mark.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
}

impl Origin {
    /// Reads what there is. Of a header that is there more than once the last counts: proxies append.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self {
            address: last(headers, &FORWARDED_FOR).and_then(address),
            certificate: certificate(headers).map(Box::new),
        }
    }
}

fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    headers.get_all(name).last().map(HeaderValue::as_bytes)
}

fn address(value: &[u8]) -> Option<IpAddr> {
    let entry = value.rsplit(|byte| *byte == b',').next()?;
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn certificate(headers: &HeaderMap) -> Option<ClientCertificate> {
    if let Some(value) = last(headers, &FORWARDED_CLIENT_CERT) {
        // Envoy passes a certificate on only where its own check of it passed.
        return Some(ClientCertificate {
            verified: true,
            subject: subject_of_last_element(value).map(printable),
        });
    }
    CLIENT_VERIFY.iter().find_map(|(verify, subject)| {
        let verified = match last(headers, verify)? {
            b"NONE" | b"" => return None,
            outcome => outcome == b"SUCCESS",
        };
        Some(ClientCertificate {
            verified,
            subject: last(headers, subject).map(printable),
        })
    })
}

/// The `Subject` of the last element; a quoted value may hold commas, semicolons and escaped quotes.
fn subject_of_last_element(value: &[u8]) -> Option<&[u8]> {
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    let mut subject = None;
    let pair = |range: std::ops::Range<usize>, subject: &mut Option<_>| {
        let pair = value.get(range).unwrap_or_default().trim_ascii();
        if let Some((name, text)) = pair.split_at_checked(8)
            && name.eq_ignore_ascii_case(b"subject=")
        {
            *subject = Some(text);
        }
    };
    for (index, byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' | b',' if !quoted => {
                pair(start..index, &mut subject);
                start = index + 1;
                if *byte == b',' {
                    subject = None;
                }
            }
            _ => {}
        }
    }
    pair(start..value.len(), &mut subject);
    let subject: &[u8] = subject?;
    let unquoted = subject
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    Some(unquoted.unwrap_or(subject)).filter(|subject| !subject.is_empty())
}

fn printable(text: &[u8]) -> Box<str> {
    let visible = |byte: &u8| {
        if (b' '..=b'~').contains(byte) {
            char::from(*byte)
        } else {
            '?'
        }
    };
    text.iter().take(MAX_SUBJECT_BYTES).map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin(headers: &[(&'static str, &[u8])]) -> Origin {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value).unwrap(),
            );
        }
        Origin::of(&map)
    }

    fn certificate(headers: &[(&'static str, &[u8])]) -> Option<(&'static str, Option<String>)> {
        let certificate = origin(headers).certificate?;
        Some((certificate.outcome(), certificate.subject().map(str::to_owned)))
    }

    #[test]
    fn the_address_is_the_one_that_the_nearest_proxy_added() {
        for (values, expected) in [
            (&[&b"170.114.0.1"[..]][..], Some("170.114.0.1")),
            (&[b"6.6.6.6, 170.114.0.1 "], Some("170.114.0.1")),
            (&[b"6.6.6.6", b"1.1.1.1,2001:db8::1"], Some("2001:db8::1")),
            (&[b"::ffff:170.114.0.1"], Some("170.114.0.1")),
            (&[b"170.114.0.1, unknown"], None),
            (&[b"170.114.0.1,"], None),
            (&[b"170.114.0.1:443"], None),
            (&[b"1.2.3.4 x=\"y\""], None),
            (&[b"\xff"], None),
            (&[b""], None),
            (&[], None),
        ] {
            let headers: Vec<_> = values.iter().map(|value| ("x-forwarded-for", *value)).collect();
            assert_eq!(
                origin(&headers).address,
                expected.map(|address| address.parse().unwrap()),
                "{values:?}"
            );
        }
    }

    #[test]
    fn the_certificate_is_told_by_nginx_and_by_envoy() {
        let zoom = Some(("verified", Some("CN=*.zoom.us,O=Zoom".to_owned())));
        assert_eq!(
            certificate(&[
                ("ssl-client-verify", b"SUCCESS"),
                ("ssl-client-subject-dn", b"CN=*.zoom.us,O=Zoom")
            ]),
            zoom
        );
        assert_eq!(
            certificate(&[
                ("x-ssl-client-verify", b"SUCCESS"),
                ("x-ssl-client-s-dn", b"CN=*.zoom.us,O=Zoom")
            ]),
            zoom
        );
        assert_eq!(
            certificate(&[(
                "x-forwarded-client-cert",
                br#"By=spiffe://a;Subject="CN=evil",Hash=00ff;Subject="CN=*.zoom.us,O=Zoom";URI=spiffe://b"#
            )]),
            zoom
        );
        assert_eq!(
            certificate(&[("x-forwarded-client-cert", br#"Hash=00;Subject="a\",Subject=\"b""#)]),
            Some(("verified", Some(r#"a\",Subject=\"b"#.to_owned())))
        );
        assert_eq!(
            certificate(&[("x-forwarded-client-cert", b"Subject=\"CN=a\",Hash=00")]),
            Some(("verified", None)),
            "the last proxy's element has none"
        );
        assert_eq!(
            certificate(&[("ssl-client-verify", b"FAILED:unable to verify")]),
            Some(("failed", None))
        );
        assert_eq!(certificate(&[("ssl-client-verify", b"NONE")]), None);
        assert_eq!(certificate(&[("ssl-client-subject-dn", b"CN=a")]), None);
    }

    #[test]
    fn a_subject_cannot_break_a_line() {
        let long = vec![b'x'; 1000];
        let subject = |text: &[u8]| {
            certificate(&[("ssl-client-verify", b"SUCCESS"), ("ssl-client-subject-dn", text)])
                .unwrap()
                .1
                .unwrap()
        };
        assert_eq!(subject(b"CN=\xc3\xa9\tb"), "CN=???b");
        assert_eq!(subject(&long).len(), MAX_SUBJECT_BYTES);
    }

    proptest! {
        #[test]
        fn no_header_panics_or_gets_through_unbounded(value in proptest::collection::vec((0x20_u8..=0xff).prop_filter("visible", |b| *b != 0x7f), 0..400)) {
            for name in ["x-forwarded-for", "x-forwarded-client-cert", "ssl-client-verify"] {
                let origin = origin(&[(name, &value), ("ssl-client-subject-dn", &value)]);
                if let Some(subject) = origin.certificate.as_ref().and_then(|certificate| certificate.subject()) {
                    prop_assert!(subject.len() <= MAX_SUBJECT_BYTES);
                    prop_assert!(subject.bytes().all(|b| (b' '..=b'~').contains(&b)));
                }
            }
        }
    }
}
