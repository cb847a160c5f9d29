//! The app's key endpoint, as the test commands it.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use tokio::sync::Notify;
use url::Url;

use super::signer::AppKey;

#[derive(Default)]
struct State {
    answer: Mutex<(u16, String)>,
    fetches: AtomicUsize,
    held: Mutex<bool>,
    arrived: Notify,
    go_on: Notify,
}

pub(super) struct App {
    state: Arc<State>,
    server: ServerHandle,
    url: Url,
}

impl App {
    pub(super) fn start() -> Self {
        let state = Arc::new(State::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let data = web::Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || {
            actix_web::App::new()
                .app_data(data.clone())
                .default_service(web::to(serve))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Self {
            state,
            server: handle,
            url: format!("http://{address}/.well-known/jwks.json").parse().unwrap(),
        }
    }

    pub(super) fn jwks_url(&self) -> Url {
        self.url.clone()
    }

    pub(super) fn publish(&self, keys: &[&AppKey]) {
        self.publish_jwks(&keys.iter().map(|key| key.jwk()).collect::<Vec<_>>());
    }

    pub(super) fn publish_jwks(&self, keys: &[Value]) {
        self.answer(200, &json!({ "keys": keys }).to_string());
    }

    pub(super) fn answer(&self, status: u16, body: &str) {
        *self.state.answer.lock().unwrap() = (status, body.to_owned());
    }

    pub(super) fn fail(&self) {
        self.answer(503, "");
    }

    /// How often the keys were asked for.
    pub(super) fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    /// The next fetch waits until [`App::go_on`].
    pub(super) fn hold_next(&self) {
        *self.state.held.lock().unwrap() = true;
    }

    pub(super) async fn arrived(&self) {
        self.state.arrived.notified().await;
    }

    pub(super) fn go_on(&self) {
        self.state.go_on.notify_one();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // The order is given at the call; the future would only wait for its end.
        drop(self.server.stop(false));
    }
}

async fn serve(state: web::Data<State>) -> HttpResponse {
    state.fetches.fetch_add(1, Ordering::SeqCst);
    let waits = std::mem::take(&mut *state.held.lock().unwrap());
    if waits {
        state.arrived.notify_one();
        state.go_on.notified().await;
    }
    let (status, body) = state.answer.lock().unwrap().clone();
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap());
    if status == 302 {
        response.insert_header(("location", "/elsewhere"));
    }
    response.content_type("application/jwk-set+json").body(body)
}
