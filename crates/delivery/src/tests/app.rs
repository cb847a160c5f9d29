//! The app's endpoint for events, as the test commands it.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, HttpServer, web};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::sync::Notify;
use url::Url;

/// What the app answers, and what it says besides.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) header: Option<(&'static str, String)>,
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        Self { status, header: None }
    }
}

/// A post as it arrived.
#[derive(Clone)]
pub(super) struct Post {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Post {
    pub(super) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().unwrap().to_str().unwrap();
        assert!(values.next().is_none(), "{name} twice");
        value
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn note(&self) -> String {
        self.json()["data"]["recording"]["note"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Panics unless the authors' own verifier accepts it.
    pub(super) fn verify(&self, secret: &str) {
        Webhook::new(secret)
            .unwrap()
            .verify(&self.body, &self.headers)
            .unwrap();
    }
}

#[derive(Default)]
struct State {
    posts: Mutex<Vec<Post>>,
    /// By subject; what is not here is answered 204.
    answers: Mutex<HashMap<String, Answer>>,
    /// Posts about this subject are never answered.
    stalled: Mutex<Option<String>>,
    /// How many of the next posts wait for `go_on` before they are answered.
    held: Mutex<u32>,
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
                .default_service(web::to(receive))
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
            url: format!("http://{address}/hooks/zoom").parse().unwrap(),
        }
    }

    pub(super) fn url(&self) -> Url {
        self.url.clone()
    }

    pub(super) fn answer(&self, subject: &str, answer: Answer) {
        self.state
            .answers
            .lock()
            .unwrap()
            .insert(subject.to_owned(), answer);
    }

    /// Never answers what is about this subject.
    pub(super) fn stall(&self, subject: &str) {
        *self.state.stalled.lock().unwrap() = Some(subject.to_owned());
    }

    pub(super) fn recover(&self) {
        self.state.answers.lock().unwrap().clear();
    }

    /// The next post waits until [`App::go_on`]; those after it do not.
    pub(super) fn hold_next(&self) {
        *self.state.held.lock().unwrap() = 1;
    }

    pub(super) async fn arrived(&self) {
        self.state.arrived.notified().await;
    }

    pub(super) fn go_on(&self) {
        self.state.go_on.notify_one();
    }

    pub(super) fn posts(&self) -> Vec<Post> {
        self.state.posts.lock().unwrap().clone()
    }

    pub(super) fn notes(&self) -> Vec<String> {
        self.posts().iter().map(Post::note).collect()
    }

    pub(super) async fn stop(&self) {
        self.server.stop(true).await;
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // The order is given at the call; the future would only wait for its end.
        drop(self.server.stop(false));
    }
}

async fn receive(state: web::Data<State>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    // actix has the `http` crate of another version.
    let headers = request.headers().iter().map(|(name, value)| {
        (
            HeaderName::from_bytes(name.as_str().as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )
    });
    let post = Post {
        path: request.path().to_owned(),
        headers: headers.collect(),
        body: body.to_vec(),
    };
    let subject = post.json()["subject"].as_str().unwrap().to_owned();
    state.posts.lock().unwrap().push(post);
    let stalled = state.stalled.lock().unwrap().as_deref() == Some(&subject);
    if stalled {
        std::future::pending::<()>().await;
    }
    let waits = {
        let mut held = state.held.lock().unwrap();
        let waits = *held > 0;
        *held = held.saturating_sub(1);
        waits
    };
    if waits {
        state.arrived.notify_one();
        state.go_on.notified().await;
    }
    let answer = state.answers.lock().unwrap().get(&subject).cloned();
    let answer = answer.unwrap_or_else(|| Answer::status(204));
    let mut response = HttpResponse::build(StatusCode::from_u16(answer.status).unwrap());
    if let Some(header) = answer.header {
        response.insert_header(header);
    }
    response.finish()
}
