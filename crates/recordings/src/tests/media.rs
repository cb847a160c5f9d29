//! A fake Zoom: one server that answers downloads and API calls as a test says.

use std::sync::{Arc, Mutex, PoisonError};

use actix_web::body::SizedStream;
use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::Notify;

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) host: String,
    pub(super) path: String,
    pub(super) bearer: Option<String>,
}

type Answer = dyn Fn(&Seen) -> HttpResponse + Send + Sync;

pub(super) struct Media {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<Mutex<Arc<Answer>>>,
    handle: ServerHandle,
}

impl Media {
    pub(super) fn start() -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let nothing: Arc<Answer> = Arc::new(|_| HttpResponse::NotFound().finish());
        let answer = Arc::new(Mutex::new(nothing));
        let (log, script) = (Arc::clone(&seen), Arc::clone(&answer));
        let server = HttpServer::new(move || {
            let (log, script) = (Arc::clone(&log), Arc::clone(&script));
            App::new().default_service(web::to(move |request: HttpRequest| {
                let seen = Seen::of(&request);
                log.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(seen.clone());
                let answer = Arc::clone(&script.lock().unwrap_or_else(PoisonError::into_inner));
                async move { answer(&seen) }
            }))
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
        let port = server.addrs()[0].port();
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self {
            port,
            seen,
            answer,
            handle,
        }
    }

    /// From now on requests are answered so.
    pub(super) fn answers(&self, answer: impl Fn(&Seen) -> HttpResponse + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    pub(super) fn base(&self) -> String {
        self.url("127.0.0.1", "")
    }

    pub(super) fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Host, path and bearer of each request so far.
    pub(super) fn log(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|seen| {
                format!(
                    "{} {} {}",
                    seen.host,
                    seen.path,
                    seen.bearer.as_deref().unwrap_or("-")
                )
            })
            .collect()
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

impl Seen {
    fn of(request: &HttpRequest) -> Self {
        let field = |name| {
            request
                .headers()
                .get(name)
                .and_then(|value: &header::HeaderValue| value.to_str().ok())
        };
        let host = field(header::HOST).unwrap_or_default();
        Self {
            host: host.split(':').next().unwrap_or_default().to_owned(),
            path: request.path().to_owned(),
            bearer: field(header::AUTHORIZATION)
                .and_then(|value| value.strip_prefix("Bearer "))
                .map(str::to_owned),
        }
    }

    pub(super) fn is_api(&self) -> bool {
        self.path.starts_with("/v2/")
    }
}

/// The bytes with their length announced.
pub(super) fn whole(bytes: &[u8]) -> HttpResponse {
    HttpResponse::Ok().content_type("video/mp4").body(bytes.to_vec())
}

/// The bytes in pieces, their length not announced.
pub(super) fn chunked(bytes: &[u8]) -> HttpResponse {
    let pieces: Vec<Result<Bytes, std::io::Error>> = bytes
        .chunks(97)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    HttpResponse::Ok().streaming(stream::iter(pieces))
}

/// The bytes, then a connection that breaks, whatever length was announced.
pub(super) fn cut_off(bytes: &[u8], announced: Option<u64>) -> HttpResponse {
    let mut pieces: Vec<_> = bytes
        .chunks(256 * 1024)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    pieces.push(Err(std::io::Error::other("the test ends it here")));
    let pieces = stream::iter(pieces);
    match announced {
        Some(length) => HttpResponse::Ok().body(SizedStream::new(length, pieces.boxed_local())),
        None => HttpResponse::Ok().streaming(pieces),
    }
}

/// The first half of the bytes; after it this tells, waits, and sends the rest.
pub(super) fn paused(bytes: &[u8], tell: &Arc<Notify>, wait: &Arc<Notify>) -> HttpResponse {
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    let (first, rest) = (Bytes::copy_from_slice(first), Bytes::copy_from_slice(rest));
    let (tell, wait) = (Arc::clone(tell), Arc::clone(wait));
    let rest = async move {
        tell.notify_one();
        wait.notified().await;
        Ok::<_, std::io::Error>(rest)
    };
    HttpResponse::Ok().streaming(stream::iter([Ok(first)]).chain(stream::once(rest)))
}

pub(super) fn redirect(to: &str) -> HttpResponse {
    HttpResponse::Found()
        .insert_header((header::LOCATION, to))
        .finish()
}

pub(super) fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html")
        .body("<!doctype html><title>Only the host can download this recording</title>")
}
