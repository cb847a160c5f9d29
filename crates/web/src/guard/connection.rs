//! Cutting off clients that hold a connection without asking for anything.
//!
//! actix-http times the head of a connection's first request and the pause after an answer, but no longer the second head
//! once its first byte has come: a client that was honest once could then hold its connection for ever.

use std::any::Any;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::dev::{Extensions, ServiceRequest};
use actix_web::rt;
use actix_web::rt::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::debug;

/// How many requests of a connection began and ended.
#[derive(Default)]
struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// In a connection's data, for as long as the connection lives.
struct Watched {
    activity: Arc<Activity>,
    // Dropped with the connection, which ends the watch and frees its handle.
    _alive: oneshot::Sender<()>,
}

/// A request that is being answered.
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// Notes that a request began, on a connection that is watched.
pub(super) fn begin(request: &ServiceRequest) -> Option<Busy> {
    let watched = request.conn_data::<Watched>()?;
    watched.activity.begun.fetch_add(1, Ordering::Relaxed);
    Some(Busy(Arc::clone(&watched.activity)))
}

/// For `HttpServer::on_connect`: closes each connection on which no request is answered and none begins within `limit`,
/// at the latest after twice that time. Take the time that a connection may rest between two requests and that for a head
/// together. For listeners whose answers have short bodies: one that is still being sent is not seen.
pub fn watch_connections(limit: Duration) -> impl Fn(&dyn Any, &mut Extensions) + Clone + Send + 'static {
    move |connection, data| {
        // A second handle of the same socket; the connection itself belongs to the server.
        let Some(Ok(handle)) = connection
            .downcast_ref::<TcpStream>()
            .map(|stream| stream.as_fd().try_clone_to_owned())
        else {
            return;
        };
        let handle = std::net::TcpStream::from(handle);
        let (alive, closed) = oneshot::channel();
        let activity = Arc::<Activity>::default();
        data.insert(Watched {
            activity: Arc::clone(&activity),
            _alive: alive,
        });
        rt::spawn(watch(handle, activity, closed, limit));
    }
}

async fn watch(
    handle: std::net::TcpStream,
    activity: Arc<Activity>,
    mut closed: oneshot::Receiver<()>,
    limit: Duration,
) {
    let mut seen = 0;
    while timeout(limit, &mut closed).await.is_err() {
        // In this order, so that a request which begins in between counts as one that is being answered.
        let ended = activity.ended.load(Ordering::Relaxed);
        let begun = activity.begun.load(Ordering::Relaxed);
        if begun == ended && begun == seen {
            debug!("a connection on which nothing was asked is closed");
            // It may be closed already.
            let _ = handle.shutdown(Shutdown::Both);
            return;
        }
        seen = begun;
    }
}
