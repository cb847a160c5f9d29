//! Zoom's chat API and token endpoint, as the test commands them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use url::Url;

/// What Zoom does with a call.
#[derive(Clone)]
pub(super) enum Answer {
    /// This status, header lines that end with CRLF, and body.
    Says(u16, &'static str, String),
    /// It reads the call, and the connection ends.
    HangsUp,
    /// It reads the call and never answers.
    Stalls,
}

impl Answer {
    /// Zoom's documented error.
    pub(super) fn error(status: u16, code: u32) -> Self {
        let body = json!({"code": code, "message": "PLANTED-WORDS", "result": false});
        Self::Says(status, "", body.to_string())
    }

    pub(super) fn status(status: u16, headers: &'static str) -> Self {
        Self::Says(status, headers, String::new())
    }
}

/// A call as it arrived.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) authorization: String,
    pub(super) body: Value,
}

impl Call {
    pub(super) fn text(&self) -> &str {
        self.body["content"]["head"]["text"].as_str().unwrap()
    }
}

#[derive(Default)]
struct State {
    calls: Mutex<Vec<Call>>,
    /// What the next chat calls come to; after that all is well.
    next: Mutex<VecDeque<Answer>>,
    /// What every call of an account comes to.
    accounts: Mutex<HashMap<String, Answer>>,
    /// What the token endpoint answers.
    token: Mutex<Option<Answer>>,
    tokens: AtomicUsize,
    sent: AtomicUsize,
    arrived: Notify,
}

pub(super) struct Zoom {
    pub(super) url: Url,
    state: Arc<State>,
}

impl Zoom {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let state = Arc::new(State::default());
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { url, state }
    }

    pub(super) fn next(&self, answer: Answer) {
        self.state.next.lock().unwrap().push_back(answer);
    }

    pub(super) fn always(&self, account: &str, answer: Answer) {
        self.state
            .accounts
            .lock()
            .unwrap()
            .insert(account.to_owned(), answer);
    }

    pub(super) fn recover(&self) {
        self.state.accounts.lock().unwrap().clear();
        *self.state.token.lock().unwrap() = None;
    }

    pub(super) fn token_answer(&self, answer: Answer) {
        *self.state.token.lock().unwrap() = Some(answer);
    }

    /// The chat calls so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.state.calls.lock().unwrap().clone()
    }

    /// Method and path of the chat calls so far.
    pub(super) fn lines(&self) -> Vec<String> {
        let calls = self.calls();
        let line = |call: &Call| {
            let path = call.target.split('?').next().unwrap();
            format!("{} {path}", call.method)
        };
        calls.iter().map(line).collect()
    }

    /// How many tokens were given out.
    pub(super) fn tokens(&self) -> usize {
        self.state.tokens.load(Ordering::SeqCst)
    }

    pub(super) async fn arrived(&self) {
        self.state.arrived.notified().await;
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let Some((head, body)) = read(&mut stream).await else {
        return;
    };
    let mut words = head.lines().next().unwrap().split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let answer = if target.starts_with("/oauth/token") {
        assert!(body.contains("grant_type=client_credentials"), "{body}");
        let scripted = state.token.lock().unwrap().clone();
        scripted.unwrap_or_else(|| {
            let number = state.tokens.fetch_add(1, Ordering::SeqCst) + 1;
            let tokens = json!({
                "access_token": format!("PLANTED-TOKEN-{number}"),
                "token_type": "bearer", "expires_in": 3600, "scope": "imchat:bot",
            });
            Answer::Says(200, "", tokens.to_string())
        })
    } else {
        let authorization = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .starts_with("authorization:")
                    .then(|| line["authorization:".len()..].trim().to_owned())
            })
            .unwrap_or_default();
        let call = Call {
            method: method.to_owned(),
            target: target.to_owned(),
            authorization,
            body: serde_json::from_str(&body).unwrap_or(Value::Null),
        };
        let account = call.body["account_id"].as_str().unwrap_or_default().to_owned();
        state.calls.lock().unwrap().push(call);
        state.arrived.notify_one();
        let of_account = state.accounts.lock().unwrap().get(&account).cloned();
        let scripted = of_account.or_else(|| state.next.lock().unwrap().pop_front());
        scripted.unwrap_or_else(|| match method {
            "POST" if target.contains("/unfurls/") => Answer::status(204, ""),
            "POST" => {
                let number = state.sent.fetch_add(1, Ordering::SeqCst) + 1;
                let sent = json!({"message_id": format!("m{number}"), "robot_jid": "r", "to_jid": "t",
                                  "sent_time": "2026-11-26 09:00:00"});
                Answer::Says(201, "", sent.to_string())
            }
            _ => Answer::Says(200, "", "{}".to_owned()),
        })
    };
    match answer {
        Answer::Says(status, headers, body) => {
            let length = if status == 204 {
                String::new()
            } else {
                format!("content-length: {}\r\n", body.len())
            };
            let text = format!("HTTP/1.1 {status} X\r\n{headers}connection: close\r\n{length}\r\n{body}");
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Answer::HangsUp => {}
        Answer::Stalls => std::future::pending().await,
    }
}

async fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let count = stream.read_buf(&mut bytes).await.ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length:")?
                        .trim()
                        .parse::<usize>()
                        .ok()
                })
                .unwrap_or(0);
            if body.len() >= length {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        if count == 0 {
            return None;
        }
    }
}
