//! A server that says exactly the bytes it was told to.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is answered to a request.
pub struct Answer {
    bytes: Vec<u8>,
    hangs: bool,
}

impl Answer {
    pub fn raw(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            hangs: false,
        }
    }

    /// Says this much, then nothing more, and keeps the connection open.
    pub fn hang(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            hangs: true,
        }
    }

    pub fn ok(body: &str) -> Self {
        let head = format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}",
            body.len()
        );
        Self::raw(format!("{head}\r\n\r\n{body}").as_bytes())
    }

    pub fn head(status: &str, header: &str) -> Self {
        let header = if header.is_empty() { "x-empty: 1" } else { header };
        Self::raw(
            format!("HTTP/1.1 {status}\r\n{header}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                .as_bytes(),
        )
    }
}

/// The text of one request.
pub struct Head<'a>(&'a str);

impl Head<'_> {
    pub fn path(&self) -> &str {
        let target = self.0.split(' ').nth(1).unwrap();
        target.split('?').next().unwrap()
    }

    pub fn has_token(&self) -> bool {
        self.0.contains("authorization: Bearer the-token")
    }
}

pub struct Server {
    pub port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub fn url(&self, host: &str, path_and_query: &str) -> String {
        format!("http://{host}:{}{path_and_query}", self.port)
    }

    /// The requests so far, head and body.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Stops listening and says on which port it was.
    pub fn close(self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn serve(answer: impl Fn(&Head<'_>) -> Answer + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let task = tokio::spawn(async move {
        let mut hanging = Vec::new();
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let Some(request) = read_request(&mut socket).await else {
                continue;
            };
            let answer = answer(&Head(&request));
            log.lock().unwrap().push(request);
            let _ = socket.write_all(&answer.bytes).await;
            if answer.hangs {
                hanging.push(socket);
            }
        }
    });
    Server { port, seen, task }
}

async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
