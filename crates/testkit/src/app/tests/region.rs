//! A stand-in for a region's App API, and an app that uses it.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use domicile_kernel::Secret;
use serde_json::{Value, json};
use url::Url;

use super::super::{AppApi, ReceivingApp, ReceivingAppHandle, ReceivingAppSettings};

pub(super) const EVENTS_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
pub(super) const CONNECT_URL: &str = "http://127.0.0.1:9/connect/s1";

/// Alice's recording and its video.
pub(super) const RECORDING: &str = "0197f000-0000-7000-8000-000000000001";
pub(super) const VIDEO: &str = "0197f000-0000-7000-8000-00000000000a";

/// What the stand-in knows: for whom the ticket `t1` is, who is linked, and what it was asked.
#[derive(Default)]
struct State {
    ticket_of: Option<String>,
    linked: Vec<String>,
    /// What the links hold besides; a status of its own takes the place of `active`.
    more: Value,
    /// Another connection is in the way of the next one that does not replace it.
    taken: bool,
    asked: Vec<(String, Value)>,
}

type Shared = web::Data<Mutex<State>>;

/// A running stand-in with an app before it.
pub(super) struct Region {
    pub(super) app: ReceivingAppHandle,
    state: Shared,
    server: ServerHandle,
}

impl Region {
    pub(super) fn start() -> Self {
        Self::start_with(ReceivingAppSettings::default())
    }

    pub(super) fn start_with(settings: ReceivingAppSettings) -> Self {
        let state: Shared = web::Data::from(Arc::new(Mutex::new(State::default())));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let data = state.clone();
        let server = HttpServer::new(move || App::new().app_data(data.clone()).configure(routes))
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run();
        let handle = server.handle();
        tokio::spawn(server);
        let app = ReceivingApp::start(ReceivingAppSettings {
            events_secrets: vec![Secret::from(EVENTS_SECRET)],
            ..settings
        });
        let app = app.unwrap();
        app.use_app_api(AppApi {
            url,
            key: Secret::from("the-key"),
        });
        Self {
            app,
            state,
            server: handle,
        }
    }

    /// What was posted, in order.
    pub(super) fn asked(&self) -> Vec<(String, Value)> {
        self.state.lock().unwrap().asked.clone()
    }

    /// The subject has a link that looks like this.
    pub(super) fn has_link(&self, subject: &str, more: Value) {
        let mut state = self.state.lock().unwrap();
        state.linked.push(subject.to_owned());
        state.more = more;
    }

    /// Another connection is in the way.
    pub(super) fn is_taken(&self) {
        self.state.lock().unwrap().taken = true;
    }

    /// From now on no App API answers.
    pub(super) async fn vanish(&self) {
        self.server.stop(false).await;
    }
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/v1/connect-sessions", web::post().to(begin))
        .route("/v1/connect-sessions/confirm", web::post().to(confirm))
        .route("/v1/links", web::get().to(links))
        .route("/v1/links/{id}", web::get().to(link_by_id))
        .route("/v1/links/{id}", web::delete().to(unlink))
        .route("/v1/recordings", web::get().to(recordings))
        .route("/v1/recordings/{id}", web::get().to(recording))
        .route("/v1/recordings/{id}/files/{file}/content", web::get().to(content));
}

fn check_key(request: &HttpRequest) {
    assert_eq!(
        request.headers().get(header::AUTHORIZATION).unwrap(),
        "Bearer the-key"
    );
}

async fn begin(request: HttpRequest, body: web::Json<Value>, state: Shared) -> HttpResponse {
    check_key(&request);
    let mut state = state.lock().unwrap();
    state.ticket_of = body["subject"].as_str().map(str::to_owned);
    if body["replace"] == true {
        state.taken = false;
    }
    state.asked.push(("begin".to_owned(), body.into_inner()));
    HttpResponse::Created().json(json!({
        "id": "s1", "connect_url": CONNECT_URL, "expires_at": "2026-06-01T12:10:00Z",
    }))
}

async fn confirm(request: HttpRequest, body: web::Json<Value>, state: Shared) -> HttpResponse {
    check_key(&request);
    let mut state = state.lock().unwrap();
    let subject = body["subject"].as_str().unwrap().to_owned();
    let is_right = state.ticket_of.as_deref() == Some(&subject) && body["ticket"] == "t1";
    state.asked.push(("confirm".to_owned(), body.into_inner()));
    if !is_right {
        return HttpResponse::Forbidden().json(json!({
            "type": "urn:domicile:problem:wrong_subject", "title": "Begun by someone else", "status": 403,
            "detail": "The ticket belongs to another <subject>.", "request_id": "req-7",
        }));
    }
    state.ticket_of = None;
    if state.taken {
        return HttpResponse::Conflict().json(json!({
            "type": "urn:domicile:problem:link_exists", "title": "There is another link already", "status": 409,
        }));
    }
    state.linked.push(subject.clone());
    HttpResponse::Ok().json(link(&subject, &state.more))
}

fn link(subject: &str, more: &Value) -> Value {
    let mut link = json!({
        "id": "l1", "subject": subject, "status": "active", "scopes": [],
        "zoom": { "account_id": "za", "user_id": "zu" }, "created_at": "2026-06-01T12:00:00Z",
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        link[name] = value.clone();
    }
    link
}

async fn link_by_id(request: HttpRequest, path: web::Path<String>, state: Shared) -> HttpResponse {
    check_key(&request);
    let state = state.lock().unwrap();
    match (path.as_str(), state.linked.first()) {
        ("l1", Some(subject)) => HttpResponse::Ok().json(link(subject, &state.more)),
        _ => HttpResponse::NotFound().json(json!({ "title": "Not found", "status": 404 })),
    }
}

async fn unlink(request: HttpRequest, path: web::Path<String>, state: Shared) -> HttpResponse {
    check_key(&request);
    let mut state = state.lock().unwrap();
    state.asked.push(("unlink".to_owned(), path.into_inner().into()));
    state.linked.clear();
    HttpResponse::NoContent().finish()
}

fn subject_of(request: &HttpRequest) -> String {
    let query = web::Query::<HashMap<String, String>>::from_query(request.query_string());
    query.unwrap()["subject"].clone()
}

async fn links(request: HttpRequest, state: Shared) -> HttpResponse {
    check_key(&request);
    let subject = subject_of(&request);
    let state = state.lock().unwrap();
    let linked = state.linked.contains(&subject);
    let data: Vec<Value> = linked.then(|| link(&subject, &state.more)).into_iter().collect();
    HttpResponse::Ok().json(json!({ "data": data, "next_cursor": null }))
}

fn the_recording() -> Value {
    let file = |id: &str, kind: &str, extension: &str, status: &str| {
        json!({
            "id": id, "kind": kind, "extension": extension, "status": status, "size_bytes": 10,
            "sha256": "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882",
            "content_url": format!("/v1/recordings/{RECORDING}/files/{id}/content"),
        })
    };
    json!({
        "id": RECORDING, "subject": "user:1001", "status": "stored",
        "meeting": { "uuid": "u/1==", "id": "81234567890", "topic": "Board <meeting>", "host_id": "zu",
                     "started_at": "2026-06-01T09:00:00Z" },
        "files": [file(VIDEO, "mp4", "mp4", "stored"), file("f2", "transcript", "vtt", "pending")],
    })
}

async fn recordings(request: HttpRequest) -> HttpResponse {
    check_key(&request);
    let own = subject_of(&request) == "user:1001";
    let data: Vec<Value> = own.then(the_recording).into_iter().collect();
    HttpResponse::Ok().json(json!({ "data": data, "next_cursor": null }))
}

async fn recording(request: HttpRequest, path: web::Path<String>) -> HttpResponse {
    check_key(&request);
    if path.as_str() == RECORDING {
        HttpResponse::Ok().json(the_recording())
    } else {
        HttpResponse::NotFound().json(json!({ "title": "Not found", "status": 404 }))
    }
}

async fn content(request: HttpRequest) -> HttpResponse {
    check_key(&request);
    let range = request
        .headers()
        .get(header::RANGE)
        .map(|it| it.to_str().unwrap());
    let mut answer = match range {
        None => HttpResponse::Ok(),
        Some("bytes=2-4") => HttpResponse::PartialContent(),
        Some(_) => {
            return HttpResponse::RangeNotSatisfiable()
                .insert_header((header::CONTENT_RANGE, "bytes */10"))
                .finish();
        }
    };
    answer
        .content_type("video/mp4")
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::ETAG, "\"84d8\""))
        .insert_header(("x-internal", "not for browsers"));
    if range.is_some() {
        answer.insert_header((header::CONTENT_RANGE, "bytes 2-4/10"));
        return answer.body("234");
    }
    answer.body("0123456789")
}
