//! A simulator with a clock that tests move, a scripted receiver of webhooks, and a plain HTTP client.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use awc::Client;
use chrono::{DateTime, TimeDelta, Utc};
use domicile_kernel::{Clock, Timestamp};
use domicile_zoomsim::{
    App, ConsentOrder, Decision, FileKind, FileSelection, Meeting, NewApp, NewFile, NewMeeting, NewRecording,
    NewSubscription, NewUser, SeededRng, Sim, Usage, User, WebhookAnswer, WebhookRequest, WebhookSender,
    Zoomsim, ZoomsimSettings,
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::Notify;
use url::Url;

pub const SECRET: &str = "subscription-secret";
pub const REDIRECT: &str = "http://127.0.0.1:9/oauth/callback";

pub struct HandClock(Mutex<Timestamp>);

impl HandClock {
    pub fn new() -> Arc<Self> {
        let start: DateTime<Utc> = "2026-11-22T10:00:00Z".parse().unwrap();
        Arc::new(Self(Mutex::new(start)))
    }

    pub fn forward(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// One request that the scripted receiver got.
#[derive(Clone)]
pub struct Got {
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(it, _)| *it == name)
            .map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn is_signed(&self, secret: &str) -> bool {
        let message = format!("v0:{}:{}", self.header("x-zm-request-timestamp"), self.body);
        self.header("x-zm-signature") == format!("v0={}", hmac_hex(secret, &message))
    }
}

pub fn hmac_hex(secret: &str, message: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Answers events from a script, then with 200; answers challenges rightly unless told not to.
#[derive(Default)]
pub struct Receiver {
    script: Mutex<VecDeque<WebhookAnswer>>,
    challenges_fail: Mutex<bool>,
    got: Mutex<Vec<Got>>,
    held: Mutex<Option<Arc<Notify>>>,
}

impl Receiver {
    pub fn will_answer(&self, statuses: &[u16]) {
        let answers = statuses.iter().map(|status| WebhookAnswer::Answered {
            status: *status,
            body: "".into(),
        });
        self.script.lock().unwrap().extend(answers);
    }

    pub fn will(&self, answers: &[WebhookAnswer]) {
        self.script.lock().unwrap().extend(answers.iter().cloned());
    }

    /// The next event is answered when the one who holds it goes on.
    pub fn hold_next(&self) -> Arc<Notify> {
        let go_on = Arc::<Notify>::default();
        *self.held.lock().unwrap() = Some(Arc::clone(&go_on));
        go_on
    }

    pub fn fail_challenges(&self, fail: bool) {
        *self.challenges_fail.lock().unwrap() = fail;
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub fn events(&self) -> Vec<Got> {
        self.got()
            .into_iter()
            .filter(|got| !got.body.contains("endpoint.url_validation"))
            .collect()
    }

    pub fn challenges(&self) -> Vec<Got> {
        self.got()
            .into_iter()
            .filter(|got| got.body.contains("endpoint.url_validation"))
            .collect()
    }
}

#[async_trait]
impl WebhookSender for Receiver {
    async fn send(&self, request: WebhookRequest, _limit: Duration) -> WebhookAnswer {
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        self.got.lock().unwrap().push(Got {
            headers: request.headers,
            body: body.clone(),
        });
        if body.contains("endpoint.url_validation") {
            if *self.challenges_fail.lock().unwrap() {
                return WebhookAnswer::Answered {
                    status: 500,
                    body: "".into(),
                };
            }
            let body: Value = serde_json::from_str(&body).unwrap();
            let plain = body["payload"]["plainToken"].as_str().unwrap();
            let answer = json!({ "plainToken": plain, "encryptedToken": hmac_hex(SECRET, plain) });
            return WebhookAnswer::Answered {
                status: 200,
                body: answer.to_string().into(),
            };
        }
        let held = self.held.lock().unwrap().take();
        if let Some(go_on) = held {
            go_on.notified().await;
        }
        let scripted = self.script.lock().unwrap().pop_front();
        scripted.unwrap_or(WebhookAnswer::Answered {
            status: 200,
            body: "".into(),
        })
    }
}

pub struct World {
    pub zoomsim: Zoomsim,
    pub clock: Arc<HandClock>,
    pub receiver: Arc<Receiver>,
    pub http: Client,
}

/// A simulator with a scripted receiver.
pub async fn world() -> World {
    let (clock, receiver) = (HandClock::new(), Arc::new(Receiver::default()));
    let settings = ZoomsimSettings {
        clock: clock.clone(),
        rng: Arc::new(SeededRng::new(1)),
        sender: Some(receiver.clone()),
        ..ZoomsimSettings::default()
    };
    let zoomsim = Zoomsim::start(settings).await.unwrap();
    World {
        zoomsim,
        clock,
        receiver,
        http: http(),
    }
}

/// A client that follows no redirects and decodes nothing.
pub fn http() -> Client {
    Client::builder()
        .disable_redirects()
        .timeout(Duration::from_secs(60))
        .finish()
}

/// Status, and the body as JSON or null.
pub struct Answer {
    pub status: u16,
    pub headers: awc::http::header::HeaderMap,
    pub json: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn code(&self) -> i64 {
        self.json["code"].as_i64().unwrap_or_default()
    }
}

impl World {
    pub fn sim(&self) -> &Sim {
        self.zoomsim.sim()
    }

    pub fn url(&self, path: &str) -> String {
        self.zoomsim.oauth_url().join(path).unwrap().to_string()
    }

    pub fn user(&self) -> User {
        self.sim().create_user(NewUser::default()).unwrap()
    }

    pub async fn app(&self, usage: Usage) -> App {
        let url = Url::parse("http://127.0.0.1:9/zoom/events").unwrap();
        self.sim()
            .create_app(NewApp {
                usage,
                redirect_uris: vec![REDIRECT.to_owned()],
                subscriptions: vec![NewSubscription::new(url, SECRET)],
                ..NewApp::default()
            })
            .await
            .unwrap()
    }

    pub fn authorize_url(&self, app: &App, more: &[(&str, &str)]) -> Url {
        let mut url = Url::parse(&self.url("oauth/authorize")).unwrap();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &app.client_id)
            .append_pair("redirect_uri", REDIRECT)
            .extend_pairs(more);
        url
    }

    pub fn code(&self, app: &App, user: &User, more: &[(&str, &str)]) -> String {
        let order = ConsentOrder {
            authorize_url: self.authorize_url(app, more),
            user_id: user.id.clone(),
            decision: Decision::Allow,
            declined_scopes: Vec::new(),
        };
        query(&self.sim().consent(&order).unwrap(), "code")
    }

    pub async fn token(&self, app: &App, fields: &[(&str, &str)]) -> Answer {
        let request = self
            .http
            .post(self.url("oauth/token"))
            .basic_auth(&app.client_id, &app.client_secret)
            .send_form(&fields)
            .await
            .unwrap();
        read(request).await
    }

    pub async fn redeem(&self, app: &App, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
        ];
        self.token(app, &fields).await
    }

    pub async fn refresh(&self, app: &App, refresh_token: &str) -> Answer {
        self.token(
            app,
            &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)],
        )
        .await
    }

    /// The whole token answer of a fresh install.
    pub async fn install(&self, app: &App, user: &User) -> Value {
        let answer = self.redeem(app, &self.code(app, user, &[])).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer.json
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.get_url(&self.url(path), token).await
    }

    pub async fn get_url(&self, url: &str, token: &str) -> Answer {
        read(self.http.get(url).bearer_auth(token).send().await.unwrap()).await
    }

    pub fn recording(&self, user: &User, files: Vec<NewFile>) -> Meeting {
        self.recording_of(
            NewMeeting {
                host_id: user.id.clone(),
                ..NewMeeting::default()
            },
            files,
        )
    }

    pub fn recording_of(&self, meeting: NewMeeting, files: Vec<NewFile>) -> Meeting {
        let new = NewRecording {
            meeting: Some(meeting),
            files,
            ..NewRecording::default()
        };
        self.sim().create_recording(new).unwrap()
    }

    /// A finished recording with one MP4 of this length.
    pub async fn finished(&self, user: &User, size_bytes: u64) -> Meeting {
        let meeting = self.recording(user, vec![NewFile::new(FileKind::Mp4, size_bytes, 5)]);
        self.sim()
            .finish_recording(&meeting.uuid, &FileSelection::default())
            .await
            .unwrap();
        self.sim().meeting(&meeting.uuid).unwrap()
    }
}

pub async fn read<S>(mut response: awc::ClientResponse<S>) -> Answer
where
    S: futures_util::Stream<Item = Result<bytes::Bytes, awc::error::PayloadError>> + Unpin,
{
    let body = response.body().limit(64 * 1024 * 1024).await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        json: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

/// One parameter of a URL's query.
pub fn query(url: &Url, name: &str) -> String {
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// A path segment with every byte but the unreserved encoded.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
