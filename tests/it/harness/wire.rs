//! Neighbours that listen along: what the region says to Zoom, and what it exports of itself.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use url::Url;

/// What was heard, one entry for each direction of each connection, so that nothing is torn apart.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Vec<u8>>>>);

impl Heard {
    fn open(&self) -> usize {
        let mut streams = self.0.lock().unwrap();
        streams.push(Vec::new());
        streams.len() - 1
    }

    fn add(&self, stream: usize, bytes: &[u8]) {
        self.0.lock().unwrap()[stream].extend_from_slice(bytes);
    }

    fn text(&self) -> String {
        let streams = self.0.lock().unwrap();
        streams
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes) + "\n")
            .collect()
    }
}

/// A listener on a loopback port whose connections are served until it is dropped.
struct Server {
    port: u16,
    heard: Heard,
    task: AbortHandle,
}

impl Server {
    async fn start<F>(serve: impl Fn(TcpStream, Heard) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Heard::default();
        let for_connections = heard.clone();
        let accepting = async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, for_connections.clone()));
                while connections.try_join_next().is_some() {}
            }
        };
        let task = tokio::spawn(accepting).abort_handle();
        Self { port, heard, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Stands before a plain HTTP server and hears both directions.
pub struct Tap {
    url: Url,
    server: Server,
}

impl Tap {
    /// A tap before the server that this URL names.
    pub async fn before(url: &Url) -> Self {
        let to = url.socket_addrs(|| None).unwrap();
        let server = Server::start(move |stream, heard| {
            let to = to.clone();
            async move {
                let Ok(server) = TcpStream::connect(&to[..]).await else {
                    return;
                };
                let ((from_client, to_client), (from_server, to_server)) =
                    (stream.into_split(), server.into_split());
                tokio::join!(
                    pump(from_client, to_server, &heard),
                    pump(from_server, to_client, &heard)
                );
            }
        })
        .await;
        let mut url = url.clone();
        url.set_port(Some(server.port)).unwrap();
        Self { url, server }
    }

    /// The server's URL by way of the tap.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Everything that was said so far.
    pub fn text(&self) -> String {
        self.server.heard.text()
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, heard: &Heard) {
    let stream = heard.open();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        heard.add(stream, &buffer[..read]);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    // The other side may be gone already.
    let _ = to.shutdown().await;
}

/// An OpenTelemetry collector that takes everything and keeps it as it came.
pub struct Collector(Server);

impl Collector {
    pub async fn start() -> Self {
        Self(Server::start(|stream, heard| async move { take_everything(stream, &heard).await }).await)
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` names.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }

    /// Everything that was exported so far. Texts stand in it as they are: protobuf writes them so.
    pub fn text(&self) -> String {
        self.0.heard.text()
    }
}

/// Answers 200 to each request of a connection.
async fn take_everything(stream: TcpStream, heard: &Heard) {
    let kept = heard.open();
    let mut stream = BufReader::new(stream);
    loop {
        let (mut fields, mut length) = (String::new(), 0);
        loop {
            let begin = fields.len();
            match stream.read_line(&mut fields).await {
                Ok(1..) => {}
                _ => return,
            }
            let line = fields[begin..].trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        heard.add(kept, fields.as_bytes());
        heard.add(kept, &body);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}
