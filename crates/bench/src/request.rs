//! One POST of Zoom's in one piece of memory, so that the next event costs a few copies and a signature.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use domicile_kernel::Secret;
use domicile_zoom::signature::{REQUEST_ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookSecret};
use url::Url;

use crate::event::{EventSource, decimal};
use crate::failure::{Failure, Outcome};
use crate::wall;

/// Where events go, and under which secret they are signed.
#[derive(Clone)]
pub struct Target {
    /// The socket.
    pub address: SocketAddr,
    host: String,
    path: String,
    secret: WebhookSecret,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target(http://{}{})", self.host, self.path)
    }
}

impl Target {
    /// A plain `http` URL, such as `http://127.0.0.1:8080/zoom/events`, and a secret token of its subscription.
    pub fn new(url: &Url, secret: &Secret<String>) -> Outcome<Self> {
        if url.scheme() != "http" {
            return Err(Failure::new(format!(
                "{url}: only http is spoken; TLS would be measured instead"
            )));
        }
        let address = url
            .socket_addrs(|| None)?
            .into_iter()
            .next()
            .ok_or_else(|| Failure::new(format!("{url}: the host has no address")))?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(Failure::new(format!("{url}: there is no host"))),
        };
        Ok(Self {
            address,
            host,
            path: url.path().to_owned(),
            secret: WebhookSecret::new(secret)?,
        })
    }

    /// The same path, host name and secret at another socket.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }
}

/// A request that is written over for each event.
#[derive(Debug)]
pub struct Request {
    source: Arc<EventSource>,
    secret: Key,
    bytes: Vec<u8>,
    timestamp: Range<usize>,
    signature: Range<usize>,
    id: Range<usize>,
    body_at: usize,
}

/// Hides the secret from `Debug`.
struct Key(WebhookSecret);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// `v0=` and 32 bytes in hexadecimal.
const SIGNATURE_LENGTH: usize = 3 + 64;
const TIMESTAMP_LENGTH: usize = 10;
const REQUEST_ID_LENGTH: usize = 36;

impl Request {
    /// A request without an event as yet.
    pub fn new(target: &Target, source: &Arc<EventSource>) -> Self {
        let mut bytes = Vec::with_capacity(512 + source.body_length());
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\nuser-agent: Zoom Marketplace/1.0a\r\naccept-encoding: gzip\r\n\
             content-type: application/json; charset=utf-8\r\ncontent-length: {}\r\n",
            target.path,
            target.host,
            source.body_length()
        );
        bytes.extend_from_slice(head.as_bytes());
        let timestamp = header(&mut bytes, TIMESTAMP_HEADER, TIMESTAMP_LENGTH);
        let signature = header(&mut bytes, SIGNATURE_HEADER, SIGNATURE_LENGTH);
        let id = header(&mut bytes, REQUEST_ID_HEADER, REQUEST_ID_LENGTH);
        bytes.extend_from_slice(b"\r\n");
        let body_at = bytes.len();
        bytes.extend_from_slice(source.blank());
        Self {
            source: Arc::clone(source),
            secret: Key(target.secret.clone()),
            bytes,
            timestamp,
            signature,
            id,
            body_at,
        }
    }

    /// Writes this event into it and signs it with the present second.
    pub fn prepare(&mut self, number: u64, event_millis: u64) {
        self.source
            .write(&mut self.bytes[self.body_at..], number, event_millis);
        self.source
            .write_request_id(&mut self.bytes[self.id.clone()], number);
        self.sign(wall::unix_seconds());
    }

    fn sign(&mut self, unix_seconds: i64) {
        let signature = self.secret.0.sign(unix_seconds, &self.bytes[self.body_at..]);
        self.bytes[self.signature.clone()].copy_from_slice(signature.as_bytes());
        decimal(
            &mut self.bytes[self.timestamp.clone()],
            u64::try_from(unix_seconds).unwrap_or(0),
        );
    }

    /// What goes over the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn header(bytes: &mut Vec<u8>, name: &str, length: usize) -> Range<usize> {
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b": ");
    let start = bytes.len();
    bytes.resize(start + length, b'0');
    bytes.extend_from_slice(b"\r\n");
    start..start + length
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domicile_zoom::event::Envelope;
    use domicile_zoom::signature::{SignatureHeaders, WebhookSecrets, Window, verify};

    use super::*;

    fn request() -> Request {
        let url = Url::parse("http://127.0.0.1:8080/zoom/events").unwrap();
        let target = Target::new(&url, &Secret::from("a-secret")).unwrap();
        Request::new(&target, &Arc::new(EventSource::new(3, 1)))
    }

    /// Head lines and body, as a server would part them.
    fn parted(request: &Request) -> (Vec<String>, &[u8]) {
        let bytes = request.bytes();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        (head.split("\r\n").map(str::to_owned).collect(), &bytes[end + 4..])
    }

    fn value(lines: &[String], name: &str) -> String {
        let prefix = format!("{name}: ");
        let mut values = lines.iter().filter_map(|line| line.strip_prefix(&prefix));
        let value = values.next().unwrap().to_owned();
        assert_eq!(values.next(), None, "{name} twice");
        value
    }

    #[test]
    fn what_is_sent_verifies_and_is_an_event() {
        let mut request = request();
        for (number, now) in [(0, 1_795_000_000), (1, 1_795_000_001)] {
            request.prepare(number, 1_794_999_999_000);
            request.sign(now);
            let (lines, body) = parted(&request);
            assert_eq!(lines[0], "POST /zoom/events HTTP/1.1");
            assert_eq!(value(&lines, "host"), "127.0.0.1:8080");
            assert_eq!(value(&lines, "content-length"), body.len().to_string());
            let headers = SignatureHeaders::parse(
                value(&lines, TIMESTAMP_HEADER).as_bytes(),
                value(&lines, SIGNATURE_HEADER).as_bytes(),
            )
            .unwrap();
            let secrets = WebhookSecrets::new(&[Secret::from("a-secret")]).unwrap();
            let at = DateTime::from_timestamp(now, 0).unwrap();
            verify(&headers, &secrets, body, at, Window::default()).unwrap();
            assert!(Envelope::parse(body).is_ok());
        }
    }

    #[test]
    fn the_request_id_is_the_events_and_looks_like_zooms() {
        let mut request = request();
        let mut id = |number| {
            request.prepare(number, 1);
            value(&parted(&request).0, REQUEST_ID_HEADER)
        };
        let (first, second) = (id(1), id(2));
        assert_ne!(first, second);
        assert_eq!(first, id(1));
        let parts: Vec<usize> = first.split('_').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn only_plain_http_is_a_target() {
        for url in ["https://127.0.0.1/zoom/events", "unix:/run/x"] {
            let url = Url::parse(url).unwrap();
            assert!(Target::new(&url, &Secret::from("s")).is_err(), "{url}");
        }
    }
}
