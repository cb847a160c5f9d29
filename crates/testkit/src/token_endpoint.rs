//! Zoom's token endpoint alone, for tests of many grants: small, fast, and it knows what it saw.
//!
//! It rotates without grace, as Zoom does: a refresh token is dead the moment its successor exists, whether or not anybody
//! heard of that. Whole flows use zoomsim.

mod http;
mod ledger;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use url::Url;

use crate::clock::TestClock;
use http::{Answer, Connection, Request};
pub use ledger::{Ending, Pair, Seen};
use ledger::{Ledger, Refused};

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The connection ends before anything is done.
    HangUp,
    /// The token is rotated, and the connection ends before the answer.
    LoseAnswer,
    /// The token is rotated, and the answer is a success that nobody can read.
    GarbleAnswer,
    /// This status; nothing is done.
    Outage(u16),
    /// The token is rotated, and the answer is this status.
    OutageAfter(u16),
    /// 429 with so many seconds to wait; nothing is done.
    RateLimited(u32),
    /// The right answer, late by so many milliseconds.
    Slow(u64),
    /// Nothing happens before [`TokenEndpoint::release`].
    HoldRequest,
    /// The token is rotated, and the answer waits for [`TokenEndpoint::release`].
    HoldAnswer,
}

impl Fault {
    /// Whether the token is rotated and nobody hears of it.
    pub fn loses_the_pair(self) -> bool {
        matches!(self, Self::LoseAnswer | Self::GarbleAnswer | Self::OutageAfter(_))
    }
}

/// Chooses the fault of a grant's nth request for a refresh, counted from 1.
pub type Plan = Arc<dyn Fn(&str, u32) -> Option<Fault> + Send + Sync>;

/// A running endpoint; it ends with this value.
pub struct TokenEndpoint {
    url: Url,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    clock: TestClock,
    ledger: Mutex<Ledger>,
    next: Mutex<VecDeque<Fault>>,
    plan: Plan,
    gate: Semaphore,
    held: watch::Sender<usize>,
}

impl TokenEndpoint {
    /// Starts it without faults.
    pub async fn start(clock: &TestClock) -> Self {
        Self::with_plan(clock, Arc::new(|_, _| None)).await
    }

    /// Starts it with faults.
    pub async fn with_plan(clock: &TestClock, plan: Plan) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("the address of a bound listener");
        let shared = Arc::new(Shared {
            clock: clock.clone(),
            ledger: Mutex::default(),
            next: Mutex::default(),
            plan,
            gate: Semaphore::new(0),
            held: watch::Sender::new(0),
        });
        let for_connections = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(Arc::clone(&for_connections).serve(stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            url: Url::parse(&format!("http://{address}/")).expect("an address makes a URL"),
            shared,
            accepting,
        }
    }

    /// The base URL: `DOMICILE_ZOOM_OAUTH_URL`.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The user authorizes: a new pair, and all former ones of this grant are revoked.
    pub fn authorize(&self, grant: &str) -> Pair {
        self.shared
            .ledger()
            .authorize(grant, self.shared.clock.port().now())
    }

    /// Ends the grant at Zoom.
    pub fn end(&self, grant: &str, ending: Ending) {
        self.shared.ledger().end(grant, ending);
    }

    /// Rotates as if somebody had asked, and tells nobody.
    pub fn rotate_unheard(&self, grant: &str) {
        self.shared
            .ledger()
            .rotate_unheard(grant, self.shared.clock.port().now());
    }

    /// The refresh token that would work now, if one would.
    pub fn living_refresh_token(&self, grant: &str) -> Option<String> {
        self.shared.ledger().living(grant, self.shared.clock.port().now())
    }

    /// What became of a grant's requests.
    pub fn seen(&self, grant: &str) -> Seen {
        self.shared.ledger().seen(grant)
    }

    /// How often each fault struck.
    pub fn faults(&self) -> Vec<(Fault, u32)> {
        self.shared.ledger().faults()
    }

    /// The fault of the next request for a refresh that nothing else was ordered for, whoever's it is.
    pub fn next(&self, fault: Fault) {
        lock(&self.shared.next).push_back(fault);
    }

    /// Waits until so many requests are held.
    pub async fn holds(&self, requests: usize) {
        let mut held = self.shared.held.subscribe();
        let waited = timeout(Duration::from_secs(60), held.wait_for(|held| *held >= requests)).await;
        assert!(waited.is_ok(), "no {requests} requests came to be held");
    }

    /// Lets one held request go on.
    pub fn release(&self) {
        self.shared.gate.add_permits(1);
    }
}

impl Drop for TokenEndpoint {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let mut connection = Connection::new(stream);
        while let Some(request) = connection.request().await {
            let answer = match request.path.as_str() {
                "/oauth/token" => self.token(&request).await,
                "/oauth/revoke" => Some(self.revoke(&request)),
                _ => Some(Answer::new(404, "{}")),
            };
            let Some(answer) = answer else { return };
            if !connection.answer(&answer).await {
                return;
            }
        }
    }

    fn revoke(&self, request: &Request) -> Answer {
        self.ledger().revoke(&request.field("token"));
        Answer::new(200, r#"{"status":"success"}"#)
    }

    /// The answer, or none when the connection is to end. A request is in flight until its answer is written.
    async fn token(&self, request: &Request) -> Option<Answer> {
        if request.field("grant_type") != "refresh_token" {
            return Some(Answer::new(400, r#"{"error":"unsupported_grant_type"}"#));
        }
        let token = request.field("refresh_token");
        let (grant, nth) = self.ledger().begin(&token);
        let fault = match (self.plan)(&grant, nth) {
            Some(fault) => Some(fault),
            None => lock(&self.next).pop_front(),
        };
        if let Some(fault) = fault {
            self.ledger().strike(fault);
        }
        let answer = self.answer(&token, fault).await;
        self.ledger().finish(&grant);
        answer
    }

    async fn answer(&self, token: &str, fault: Option<Fault>) -> Option<Answer> {
        match fault {
            Some(Fault::HangUp) => None,
            Some(Fault::Outage(status)) => Some(Answer::new(status, "")),
            Some(Fault::RateLimited(seconds)) => Some(Answer::new(429, "").retry_after(seconds)),
            Some(Fault::HoldRequest) => {
                self.hold().await;
                Some(self.rotate(token))
            }
            Some(Fault::HoldAnswer) => {
                let answer = self.rotate(token);
                self.hold().await;
                Some(answer)
            }
            Some(Fault::Slow(millis)) => {
                let answer = self.rotate(token);
                let _ = timeout(Duration::from_millis(millis), std::future::pending::<()>()).await;
                Some(answer)
            }
            Some(Fault::LoseAnswer) => {
                self.rotate_in_silence(token);
                None
            }
            Some(Fault::GarbleAnswer) => {
                self.rotate_in_silence(token);
                Some(Answer::new(200, "<html>"))
            }
            Some(Fault::OutageAfter(status)) => {
                self.rotate_in_silence(token);
                Some(Answer::new(status, ""))
            }
            None => Some(self.rotate(token)),
        }
    }

    fn rotate(&self, token: &str) -> Answer {
        let mut ledger = self.ledger();
        match ledger.rotate(token, self.clock.port().now()) {
            Ok(pair) => Answer::new(200, &pair.to_json()),
            Err(refused) => {
                ledger.refuse(token);
                Answer::new(400, refused.body())
            }
        }
    }

    fn rotate_in_silence(&self, token: &str) {
        // A dead token's refusal is lost as well as a pair.
        let _ = self.ledger().rotate(token, self.clock.port().now());
    }

    async fn hold(&self) {
        self.held.send_modify(|held| *held += 1);
        if let Ok(permit) = self.gate.acquire().await {
            permit.forget();
        }
        self.held.send_modify(|held| *held -= 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Refused {
    /// Zoom's body. Where its number stands is not documented, so each reason has it elsewhere.
    fn body(self) -> &'static str {
        match self {
            Self::Unknown => r#"{"reason":"Invalid Token!","error":"invalid_grant"}"#,
            Self::Ended(Ending::Revoked) => {
                r#"{"reason":"The token has been revoked. (4741)","error":"invalid_grant"}"#
            }
            Self::Ended(Ending::UserGone) => r#"{"error":"invalid_grant","code":4735}"#,
            Self::Ended(Ending::AppDisabled) => {
                r#"{"reason":"disabled","error":"invalid_grant","errorCode":"4738"}"#
            }
        }
    }
}
