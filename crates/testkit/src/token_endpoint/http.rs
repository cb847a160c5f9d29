//! As much HTTP/1.1 as the endpoint needs (RFC 9112): requests with a length, over connections that stay open.

use std::collections::HashMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::form_urlencoded;

const MAX_REQUEST_BYTES: usize = 64 * 1024;

pub(super) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

pub(super) struct Request {
    pub(super) path: String,
    fields: HashMap<String, String>,
}

impl Request {
    /// A field of the form, empty if it is not there.
    pub(super) fn field(&self, name: &str) -> String {
        self.fields.get(name).cloned().unwrap_or_default()
    }
}

pub(super) struct Answer {
    status: u16,
    retry_after_seconds: Option<u32>,
    body: String,
}

impl Answer {
    pub(super) fn new(status: u16, body: &str) -> Self {
        Self {
            status,
            retry_after_seconds: None,
            body: body.to_owned(),
        }
    }

    pub(super) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        // Small answers must not wait for more; where it cannot be set they are late, no more.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// The next request; none when the connection has ended or what came is no request.
    pub(super) async fn request(&mut self) -> Option<Request> {
        loop {
            if let Some((request, length)) = parse(&self.unread) {
                self.unread.drain(..length);
                return Some(request);
            }
            let read = self.stream.read_buf(&mut self.unread).await.ok()?;
            if read == 0 || self.unread.len() > MAX_REQUEST_BYTES {
                return None;
            }
        }
    }

    /// Writes an answer; false when the connection has ended.
    pub(super) async fn answer(&mut self, answer: &Answer) -> bool {
        let retry_after = answer
            .retry_after_seconds
            .map(|seconds| format!("retry-after: {seconds}\r\n"))
            .unwrap_or_default();
        let text = format!(
            "HTTP/1.1 {} X\r\n{retry_after}content-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
            answer.status,
            answer.body.len(),
            answer.body
        );
        self.stream.write_all(text.as_bytes()).await.is_ok()
    }
}

/// The first whole request in the bytes, and how many of them it takes.
fn parse(bytes: &[u8]) -> Option<(Request, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .unwrap_or(0);
    let body = bytes.get(end + 4..end + 4 + length)?;
    let request = Request {
        path: head.split(' ').nth(1)?.to_owned(),
        fields: form_urlencoded::parse(body).into_owned().collect(),
    };
    Some((request, end + 4 + length))
}
