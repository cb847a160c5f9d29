//! Zoom's chat and the app, as the region's bot sees them, on one socket.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};

/// For whom the app stalls: users whose ids begin so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Stall {
    /// For the loud account.
    Loud,
    /// For everybody.
    All,
}

/// What the stub has seen.
#[derive(Debug)]
struct Seen {
    stall: Stall,
    loud: &'static str,
    /// The times at which a message came for each JID.
    messages: Mutex<HashMap<String, Vec<Instant>>>,
}

/// The running stub.
#[derive(Debug)]
pub struct Outside {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Seen>,
    server: ServerHandle,
}

impl Outside {
    /// Starts it on a thread of its own.
    pub fn start(stall: Stall, loud: &'static str) -> Outcome<Self> {
        let seen = Arc::new(Seen {
            stall,
            loud,
            messages: Mutex::default(),
        });
        let (tell, told) = mpsc::channel();
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            let outcome = serve(&shared, &tell);
            // The receiver is gone once the address is known.
            drop(tell.send(outcome.map(|()| None)));
        });
        match told.recv()?? {
            Some((address, server)) => Ok(Self {
                address,
                seen,
                server,
            }),
            None => Err(Failure::new("the stub of Zoom and the app ended at its start")),
        }
    }

    /// The times at which messages came to this JID.
    pub fn messages(&self, jid: &str) -> Vec<Instant> {
        let messages = self.seen.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.get(jid).cloned().unwrap_or_default()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // It ends without being waited for: a stalled answer would never let it.
        drop(self.server.stop(false));
    }
}

type Started = Outcome<Option<(SocketAddr, ServerHandle)>>;

fn serve(seen: &Arc<Seen>, tell: &mpsc::Sender<Started>) -> Outcome {
    let data = web::Data::from(Arc::clone(seen));
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(web::JsonConfig::default().limit(1024 * 1024))
                .route("/oauth/token", web::post().to(token))
                .route("/v2/im/chat/messages", web::post().to(message))
                .route("/app/events", web::post().to(event))
        })
        .workers(1)
        // A stalled app holds its connections.
        .max_connections(4096)
        .disable_signals()
        .bind("127.0.0.1:0")?;
        let address = server.addrs().first().copied();
        let address = address.ok_or_else(|| Failure::new("the stub has no address"))?;
        let running = server.run();
        drop(tell.send(Ok(Some((address, running.handle())))));
        Ok(running.await?)
    })
}

async fn token() -> HttpResponse {
    HttpResponse::Ok()
        .json(json!({"access_token": "a-token-of-the-bench", "token_type": "bearer", "expires_in": 3600}))
}

async fn message(seen: web::Data<Seen>, message: web::Json<Value>) -> HttpResponse {
    let now = Instant::now();
    let Some(jid) = message["to_jid"].as_str() else {
        return HttpResponse::BadRequest().json(json!({"code": 7001, "message": "to_jid is missing"}));
    };
    let mut messages = seen.messages.lock().unwrap_or_else(PoisonError::into_inner);
    let times = messages.entry(jid.to_owned()).or_default();
    times.push(now);
    let id = format!("{jid}/{}", times.len());
    HttpResponse::Created().json(json!({"message_id": id, "to_jid": jid, "robot_jid": message["robot_jid"]}))
}

async fn event(seen: web::Data<Seen>, event: web::Json<Value>) -> HttpResponse {
    let user = event["data"]["speaker"]["zoom"]["user_id"]
        .as_str()
        .unwrap_or_default();
    if seen.stall == Stall::All || user.starts_with(seen.loud) {
        // Whoever calls gives up.
        std::future::pending::<()>().await;
    }
    HttpResponse::Ok().json(json!({"reply": {"text": "Three orders are open."}}))
}
