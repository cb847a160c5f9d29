use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::http::uri::Authority;
use url::Url;

use crate::problem::{Problem, ProblemError};

/// The one host, and port where it is not the scheme's own, under which a listener may be addressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName {
    authority: String,
    default_port: Option<u16>,
    https: bool,
    base: String,
}

impl HostName {
    /// The host of a public URL.
    pub fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Self {
            default_port: url
                .port()
                .is_none()
                .then(|| url.port_or_known_default())
                .flatten(),
            https: url.scheme() == "https",
            base: format!("{}://{authority}/", url.scheme()),
            authority,
        }
    }

    pub(super) fn is_https(&self) -> bool {
        self.https
    }

    /// Forwarding headers are not looked at: who could forge them could forge the right name.
    pub(super) fn check(&self, request: &HttpRequest) -> Result<(), ProblemError> {
        let mut named = request.headers().get_all(header::HOST);
        let host = match (named.next(), named.next()) {
            (Some(host), None) => host.to_str().ok(),
            (None, None) => request.uri().authority().map(Authority::as_str),
            _ => None,
        };
        // An absolute request target has a second say (RFC 9112 section 3.2.2); both must agree with us.
        let target = request
            .uri()
            .authority()
            .is_none_or(|authority| self.is(authority.as_str()));
        if target && host.is_some_and(|host| self.is(host)) {
            Ok(())
        } else {
            Err(ProblemError::new(Problem::Misdirected).detail(format!("This service is at {}", self.base)))
        }
    }

    fn is(&self, named: &str) -> bool {
        named.eq_ignore_ascii_case(&self.authority)
            || self.default_port.is_some_and(|port| {
                named
                    .strip_suffix(&format!(":{port}"))
                    .is_some_and(|host| host.eq_ignore_ascii_case(&self.authority))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn accepts(url: &str, hosts: &[&str]) -> bool {
        let mut request = TestRequest::get().uri("/x");
        for host in hosts {
            request = request.append_header((header::HOST, *host));
        }
        HostName::of(&Url::parse(url).unwrap())
            .check(&request.to_http_request())
            .is_ok()
    }

    #[test]
    fn only_the_public_host_is_taken() {
        let url = "https://zoom.eu.example.com";
        for host in [
            "zoom.eu.example.com",
            "ZOOM.EU.example.com",
            "zoom.eu.example.com:443",
        ] {
            assert!(accepts(url, &[host]), "{host}");
        }
        for host in [
            "zoom.us.example.com",
            "example.com",
            "zoom.eu.example.com:8443",
            "zoom.eu.example.com:80",
            "zoom.eu.example.com.",
            "zoom.eu.example.com@evil.example",
            "10.0.0.1",
            "",
            "evil.example, zoom.eu.example.com",
        ] {
            assert!(!accepts(url, &[host]), "{host}");
        }
        assert!(!accepts(url, &[]));
        assert!(!accepts(url, &["zoom.eu.example.com", "zoom.eu.example.com"]));
    }

    #[test]
    fn a_port_of_the_url_must_be_named() {
        let url = "http://localhost:8080";
        assert!(accepts(url, &["localhost:8080"]));
        assert!(!accepts(url, &["localhost"]));
        assert!(!accepts(url, &["localhost:80"]));
    }

    #[test]
    fn an_absolute_target_must_agree() {
        let host = HostName::of(&Url::parse("https://zoom.eu.example.com").unwrap());
        for (target, good) in [
            ("https://zoom.eu.example.com/x", true),
            ("https://evil.example/x", false),
        ] {
            let request = TestRequest::get()
                .uri(target)
                .insert_header((header::HOST, "zoom.eu.example.com"));
            assert_eq!(host.check(&request.to_http_request()).is_ok(), good, "{target}");
        }
    }
}
