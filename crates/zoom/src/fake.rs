//! A server for tests that answers each connection with the next of its scripted answers.

use std::sync::{Arc, Mutex};

use chrono::{TimeZone, Utc};
use domicile_egress::{Client, Timeouts, testing};
use domicile_kernel::{Clock, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

pub(crate) enum Script {
    /// This status, these header lines (each ended by CRLF), this body.
    Answer(u16, &'static str, String),
    /// The connection ends after the request was read.
    HangUp,
    /// An answer that ends before its announced length.
    Truncated,
    /// No answer while the test lasts.
    Silence,
}

pub(crate) struct Fake {
    pub(crate) url: Url,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(crate) async fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            let mut held = Vec::new();
            for script in scripts {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                seen.lock().unwrap().push(request);
                let text = match script {
                    Script::Answer(status, headers, body) => format!(
                        "HTTP/1.1 {status} X\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    ),
                    Script::Truncated => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"access".to_owned(),
                    Script::HangUp => continue,
                    Script::Silence => {
                        held.push(stream);
                        continue;
                    }
                };
                stream.write_all(text.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { url, requests }
    }

    /// The requests so far, each as head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let read = stream.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length:")?
                        .trim()
                        .parse()
                        .ok()
                })
                .unwrap_or(0);
            if body.len() >= length {
                return text;
            }
        }
        assert!(read > 0, "the request broke off");
    }
}

pub(crate) fn client(timeouts: Timeouts) -> Client {
    testing::loopback().client("test", timeouts)
}

pub(crate) struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap()
    }
}
