//! The receiving app: a small application that uses Domicile the way a customer's would.
//!
//! Two people may sign in, connect Zoom on a settings page, and see the recordings and events that are theirs. It is a
//! library for tests ([`ReceivingApp::start`]) and the binary `demo-app` for `cargo xtask dev` and `cargo xtask demo`.
//!
//! What a real app has to do is in `backend` (calls to the App API), `receiver` (signed events) and `routes/connect.rs`: the
//! ticket is confirmed for the subject of the session that came back, never for one that the browser names (INV-6). With
//! [`AppIdentity::SessionJwt`] a session is a JWT too (`session_token`), and the region itself knows whose browser came back.

mod backend;
mod edge;
mod inbox;
mod receiver;
mod routes;
mod session;
mod session_token;
mod settings;
mod state;
mod talk;
mod view;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use tokio::task::JoinHandle;
use url::Url;

pub use inbox::ReceivedEvent;
pub use settings::{AppApi, AppIdentity, AppUser, ReceivingAppSettings};

use session_token::SessionIssuer;
use state::Shared;

/// How long a stopping app waits for answers that are under way, in seconds.
const SHUTDOWN_SECONDS: u64 = 5;

/// Starts receiving apps.
pub struct ReceivingApp;

/// The app could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its address is taken or not ours.
    #[error("the demo app cannot listen on {address}")]
    Listen {
        /// The wanted address.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file of events cannot be read or written.
    #[error("the demo app cannot use its file of events")]
    EventsFile(#[source] std::io::Error),
    /// A secret for events is not one.
    #[error("an events secret is not 'whsec_' with base64")]
    Secret,
}

impl ReceivingApp {
    /// Starts an app, which takes connections from now on, until [`ReceivingAppHandle::stop`] or until the handle is dropped.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, and if the machine has no certificate authorities.
    pub fn start(settings: ReceivingAppSettings) -> Result<ReceivingAppHandle, StartError> {
        let address = settings.listen;
        let listening = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let url = Url::parse(&format!("http://{address}/")).map_err(|_| StartError::Listen {
            address,
            source: std::io::ErrorKind::InvalidInput.into(),
        })?;
        let shared = Arc::new(Shared::new(settings, url)?);
        let data = web::Data::from(shared.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(web::PayloadConfig::new(receiver::MAX_BODY_BYTES))
                .app_data(web::FormConfig::default().limit(16 * 1024))
                .configure(routes::configure)
        })
        .workers(2)
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .listen(listener)
        .map_err(listening)?
        .run();
        let control = server.handle();
        Ok(ReceivingAppHandle {
            shared,
            control,
            server: Some(tokio::spawn(server)),
        })
    }
}

/// A running app, and what a test wants to know of it.
pub struct ReceivingAppHandle {
    shared: Arc<Shared>,
    control: ServerHandle,
    server: Option<JoinHandle<std::io::Result<()>>>,
}

impl ReceivingAppHandle {
    /// Its first page, with a slash at the end.
    pub fn url(&self) -> Url {
        self.shared.url.clone()
    }

    /// Where a connect session returns: `DOMICILE_APP_RETURN_URLS`.
    pub fn return_url(&self) -> Url {
        self.shared.return_url()
    }

    /// Where a user begins to connect: `DOMICILE_APP_START_URL`.
    pub fn start_url(&self) -> Url {
        self.shared.at("/settings")
    }

    /// Where it takes events: `DOMICILE_APP_EVENTS_URL`.
    pub fn events_url(&self) -> Url {
        self.shared.at(receiver::PATH)
    }

    /// Where it publishes the keys of its session tokens: `DOMICILE_APP_JWT_JWKS_URL`.
    pub fn jwks_url(&self) -> Url {
        self.shared.at(session_token::JWKS_PATH)
    }

    /// The `iss` of its session tokens: `DOMICILE_APP_JWT_ISSUER`.
    pub fn issuer(&self) -> String {
        self.session_issuer().issuer.clone()
    }

    /// Their `aud`: `DOMICILE_APP_JWT_AUDIENCE`.
    pub fn audience(&self) -> String {
        self.session_issuer().audience.clone()
    }

    /// The cookie that holds them: `DOMICILE_APP_JWT_COOKIE`.
    pub fn session_cookie(&self) -> String {
        self.session_issuer().cookie.clone()
    }

    /// The token of a live session of this subject: `user:1001`, or `org:acme` (claim `org`) for somebody who acts for it.
    pub fn session_jwt_for(&self, subject: &str) -> String {
        self.session_issuer().token(subject)
    }

    /// Signs session tokens with a new key; the one before stays published.
    pub fn rotate_key(&self) {
        self.session_issuer().rotate();
    }

    /// Publishes no keys but the current one, so that the tokens of those before are worth nothing.
    pub fn withdraw_earlier_keys(&self) {
        self.session_issuer().withdraw_earlier();
    }

    fn session_issuer(&self) -> &SessionIssuer {
        let issuer = self.shared.session_issuer.as_ref();
        issuer.expect("the app is started with `AppIdentity::SessionJwt`")
    }

    /// Names the App API, for a region that is started after the app.
    pub fn use_app_api(&self, api: AppApi) {
        self.shared.backend.set(api);
    }

    /// The verified events, oldest first, each id once.
    pub fn events(&self) -> Vec<ReceivedEvent> {
        self.shared.inbox.all()
    }

    /// Waits until the verified events satisfy the condition; what there is when the time is over is the error.
    pub async fn wait_for_events(
        &self,
        limit: Duration,
        mut enough: impl FnMut(&[ReceivedEvent]) -> bool,
    ) -> Result<Vec<ReceivedEvent>, Vec<ReceivedEvent>> {
        let mut changes = self.shared.inbox.changes();
        let waiting = async {
            // The sender lives in `self`, so a change always comes or the time runs out.
            while !enough(&self.events()) && changes.changed().await.is_ok() {}
        };
        let outcome = tokio::time::timeout(limit, waiting).await;
        outcome.map(|()| self.events()).map_err(|_| self.events())
    }

    /// How many deliveries were refused for their signature.
    pub fn refused(&self) -> u64 {
        self.shared.inbox.refused()
    }

    /// How many deliveries [`fail_next`](Self::fail_next) has turned away so far.
    pub fn failed(&self) -> u64 {
        self.shared.inbox.failed()
    }

    /// Answers 503 to the next `n` correctly signed deliveries, and keeps nothing of them.
    pub fn fail_next(&self, n: u32) {
        self.shared.inbox.fail_next(n);
    }

    /// Answers events of this type, such as `bot.command`, with this body from now on; null: with none.
    pub fn answer(&self, event_type: &str, answer: serde_json::Value) {
        self.shared.talk.set(event_type, answer);
    }

    /// While it is stalled, no delivery is answered; then those that wait are.
    pub fn stall(&self, stalled: bool) {
        self.shared.talk.stall(stalled);
    }

    /// Stops it after the answers that are under way.
    pub async fn stop(mut self) {
        self.control.stop(true).await;
        if let Some(server) = self.server.take() {
            let _ = server.await;
        }
    }
}

impl Drop for ReceivingAppHandle {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            // The order is given at the call; the returned future would only wait for its end.
            drop(self.control.stop(false));
            server.abort();
        }
    }
}

#[cfg(test)]
mod tests;
