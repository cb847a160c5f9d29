//! A region, a Zoom and a receiving app, wired to each other.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use domicile::outside;
use domicile::region::Region;
use domicile::server::{self, Listeners, RequestListeners, Role};
use domicile::settings::{Environment, Settings};
use domicile_egress::Client;
use domicile_kernel::{RegionId, Secret};
use domicile_telemetry::{LogFormat, Telemetry, TelemetrySettings};
use domicile_testkit::app::{
    AppApi, AppIdentity, ReceivedEvent, ReceivingApp, ReceivingAppHandle, ReceivingAppSettings,
};
use domicile_testkit::db::TestDb;
use domicile_zoomsim::{
    ConsentOrder, Decision, FileKind, FileSelection, NewApp, NewFile, NewMeeting, NewRecording,
    NewSubscription, NewUser, Usage, User, Zoomsim, ZoomsimSettings,
};
use http::{Method, Request};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use super::PATIENCE;
use super::browser::{Answer, Browser, call, client};

pub const API_KEY: &str = "the-apps-own-key";
pub const WEBHOOK_SECRET: &str = "the-subscriptions-secret-token";
pub const OLD_WEBHOOK_SECRET: &str = "the-secret-token-before";
pub const EVENTS_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const CLIENT_ID: &str = "client-of-eu";
pub const CLIENT_SECRET: &str = "the-client-secret";
pub const VAULT_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
pub const ALICE: &str = "user:1001";
pub const BOB: &str = "user:1002";

/// Everything around one region, and the region's environment.
pub struct World {
    pub db: TestDb,
    pub zoom: Zoomsim,
    pub app: ReceivingAppHandle,
    pub storage: TempDir,
    pub public_url: Url,
    pub app_url: Url,
    pub environment: BTreeMap<String, String>,
    pub client: Client,
    sockets: Option<Sockets>,
    running: Option<DropGuard>,
}

struct Sockets {
    public: TcpListener,
    app: TcpListener,
    ops: TcpListener,
}

impl World {
    /// A world whose region runs in this process.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with some other settings.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut world = Self::without_region().await;
        for (name, value) in settings {
            world.environment.insert((*name).to_owned(), (*value).to_owned());
        }
        world.start_region().await;
        world.register_app().await;
        world
    }

    /// A world in which the browser itself says who sits there: the region reads the app's session tokens.
    pub async fn start_session_jwt() -> Self {
        let mut world = Self::session_jwt_without_region().await;
        world.start_region().await;
        world.register_app().await;
        world
    }

    /// The same without a running region; its ports are held.
    pub async fn session_jwt_without_region() -> Self {
        let mut world = Self::prepare(true).await;
        let tokens = [
            ("DOMICILE_APP_IDENTITY", "session-jwt".to_owned()),
            ("DOMICILE_APP_JWT_ISSUER", world.app.issuer()),
            ("DOMICILE_APP_JWT_AUDIENCE", world.app.audience()),
            ("DOMICILE_APP_JWT_JWKS_URL", world.app.jwks_url().to_string()),
            ("DOMICILE_APP_JWT_ALGORITHMS", "ES256".to_owned()),
            ("DOMICILE_APP_JWT_COOKIE", world.app.session_cookie()),
        ];
        let tokens = tokens.map(|(name, value)| (name.to_owned(), value));
        world.environment.extend(tokens);
        world
    }

    /// The same without a running region; its ports are held.
    pub async fn without_region() -> Self {
        Self::prepare(false).await
    }

    async fn prepare(session_jwt: bool) -> Self {
        let sockets = Sockets {
            public: socket(),
            app: socket(),
            ops: socket(),
        };
        let (public_url, app_url) = (url_of(&sockets.public), url_of(&sockets.app));
        let zoom = Zoomsim::start(ZoomsimSettings {
            // Zoom's three seconds are zoomsim's own tests' business; a busy machine must not lose an event here.
            webhook_limit: PATIENCE,
            ..ZoomsimSettings::default()
        })
        .await
        .unwrap();
        let app = ReceivingApp::start(ReceivingAppSettings {
            events_secrets: vec![Secret::from(EVENTS_SECRET)],
            identity: if session_jwt {
                AppIdentity::SessionJwt {
                    audience: public_url.to_string(),
                }
            } else {
                AppIdentity::Confirm
            },
            app_api: Some(AppApi {
                url: app_url.clone(),
                key: Secret::from(API_KEY),
            }),
            ..ReceivingAppSettings::default()
        })
        .unwrap();
        let (db, storage) = (TestDb::create().await, TempDir::new().unwrap());
        let zoom_host = zoom.api_url().host_str().unwrap().to_owned();
        let environment = [
            ("DOMICILE_REGION_ID", "eu".to_owned()),
            ("DOMICILE_REGION_NAME", "European Union".to_owned()),
            ("DOMICILE_REGION_ZOOM_CLUSTERS", "eu".to_owned()),
            ("DOMICILE_REGION_UNKNOWN_CLUSTER", "allow".to_owned()),
            ("DOMICILE_REGION_ADMISSION", "open".to_owned()),
            ("DOMICILE_HTTP_PUBLIC_URL", public_url.to_string()),
            ("DOMICILE_HTTP_PUBLIC_LISTEN", address(&sockets.public)),
            ("DOMICILE_HTTP_APP_LISTEN", address(&sockets.app)),
            ("DOMICILE_HTTP_OPS_LISTEN", address(&sockets.ops)),
            ("DOMICILE_DATABASE_URL", db.url().expose().clone()),
            ("DOMICILE_ZOOM_CLIENT_ID", CLIENT_ID.to_owned()),
            ("DOMICILE_ZOOM_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
            (
                "DOMICILE_ZOOM_WEBHOOK_SECRETS",
                format!("{WEBHOOK_SECRET},{OLD_WEBHOOK_SECRET}"),
            ),
            ("DOMICILE_ZOOM_OAUTH_URL", zoom.oauth_url().to_string()),
            ("DOMICILE_ZOOM_API_URL", zoom.api_url().to_string()),
            ("DOMICILE_ZOOM_HOSTS", format!("{zoom_host},api-us.localhost")),
            ("DOMICILE_VAULT_KEYS", format!("k1:{VAULT_KEY}")),
            (
                "DOMICILE_OBJECTS_URL",
                Url::from_directory_path(storage.path()).unwrap().to_string(),
            ),
            (
                "DOMICILE_APP_API_KEYS",
                format!("test:{}", hex::encode(Sha256::digest(API_KEY))),
            ),
            ("DOMICILE_APP_START_URL", app.start_url().to_string()),
            ("DOMICILE_APP_RETURN_URLS", app.return_url().to_string()),
            ("DOMICILE_APP_EVENTS_URL", app.events_url().to_string()),
            ("DOMICILE_APP_EVENTS_SECRETS", EVENTS_SECRET.to_owned()),
            ("DOMICILE_APP_IDENTITY", "confirm".to_owned()),
        ];
        Self {
            db,
            zoom,
            app,
            storage,
            public_url,
            app_url,
            environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
            client: client(),
            sockets: Some(sockets),
            running: None,
        }
    }

    /// Frees the ports for a process that binds them itself.
    pub fn release_ports(&mut self) {
        self.sockets = None;
    }

    /// Runs the region in this process, both roles.
    pub async fn start_region(&mut self) {
        self.start_region_with(|_| {}).await;
    }

    /// The same with settings changed that no variable sets, such as fixed time-outs.
    pub async fn start_region_with(&mut self, change: impl FnOnce(&mut Settings)) {
        let environment: Environment = self.environment.clone().into_iter().collect();
        let mut settings =
            Settings::from_environment(&environment).unwrap_or_else(|faults| panic!("{faults}"));
        change(&mut settings);
        let telemetry = telemetry();
        let region = Region::build(settings, outside::ids()).unwrap();
        region.check().await.unwrap();
        let sockets = self.sockets.take().expect("the region was started before");
        let listeners = Listeners {
            requests: Some(RequestListeners {
                public: sockets.public,
                app: sockets.app,
            }),
            ops: sockets.ops,
        };
        let stop = CancellationToken::new();
        tokio::spawn(server::run(region, Role::Run, listeners, telemetry, stop.clone()));
        self.running = Some(stop.drop_guard());
    }

    /// A world whose region runs, and whose Marketplace app is not registered yet.
    pub async fn without_app() -> Self {
        let mut world = Self::without_region().await;
        world.start_region().await;
        world
    }

    /// Registers the Marketplace app at Zoom; the region's endpoint is challenged then, so it must run.
    pub async fn register_app(&self) {
        self.register(NewApp::default()).await;
    }

    /// The same as an app of this kind.
    pub async fn register_app_as(&self, usage: Usage) {
        let app = NewApp {
            usage,
            ..NewApp::default()
        };
        self.register(app).await;
    }

    /// The same with these scopes and no other.
    pub async fn register_app_with_scopes(&self, scopes: &[&str]) {
        let app = NewApp {
            scopes: scopes.iter().map(|scope| (*scope).into()).collect(),
            ..NewApp::default()
        };
        self.register(app).await;
    }

    async fn register(&self, app: NewApp) {
        let events_url = self.public_url.join("/zoom/events").unwrap();
        let app = NewApp {
            client_id: Some(CLIENT_ID.to_owned()),
            client_secret: Some(CLIENT_SECRET.to_owned()),
            redirect_uris: vec![self.public_url.join("/oauth/callback").unwrap().to_string()],
            subscriptions: vec![NewSubscription::new(events_url, WEBHOOK_SECRET)],
            ..app
        };
        self.zoom.sim().create_app(app).await.unwrap();
    }

    pub fn zoom_user(&self) -> User {
        self.zoom.sim().create_user(NewUser::default()).unwrap()
    }

    /// Calls the App API with its key.
    pub async fn api(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.api_with(method, path, body, &[]).await
    }

    pub async fn api_with(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(self.app_url.join(path).unwrap().as_str())
            .header("authorization", format!("Bearer {API_KEY}"))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        call(&self.client, request.body(body).unwrap()).await
    }

    /// Opens a connect session and gives its connect URL.
    pub async fn connect_url(&self, subject: &str) -> Url {
        let body = json!({ "subject": subject, "return_url": self.app.return_url() });
        let answer = self.api(Method::POST, "/v1/connect-sessions", Some(body)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        Url::parse(answer.json()["connect_url"].as_str().unwrap()).unwrap()
    }

    /// The browser opens the connect URL and its person decides at Zoom; gives where Zoom sends the browser.
    pub async fn decide(
        &self,
        browser: &mut Browser,
        connect_url: &Url,
        user: &User,
        decision: Decision,
    ) -> Url {
        let authorize_url = browser.get(connect_url).await.location();
        let order = ConsentOrder {
            authorize_url,
            user_id: user.id.clone(),
            decision,
            declined_scopes: Vec::new(),
        };
        self.zoom.sim().consent(&order).unwrap()
    }

    /// From the connect URL to the ticket with which the browser reaches the app.
    pub async fn ticket(&self, browser: &mut Browser, connect_url: &Url, user: &User) -> String {
        let callback = self.decide(browser, connect_url, user, Decision::Allow).await;
        ticket_in(&browser.get(&callback).await.location())
    }

    pub async fn confirm(&self, ticket: &str, subject: &str) -> Answer {
        let body = json!({ "ticket": ticket, "subject": subject });
        self.api(Method::POST, "/v1/connect-sessions/confirm", Some(body))
            .await
    }

    /// The whole journey; gives the link.
    pub async fn link(&self, subject: &str, user: &User) -> Value {
        let connect_url = self.connect_url(subject).await;
        let ticket = self.ticket(&mut Browser::new(), &connect_url, user).await;
        let answer = self.confirm(&ticket, subject).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// How many links there are.
    pub async fn links(&self) -> usize {
        let list = self.api(Method::GET, "/v1/links", None).await.json();
        list["data"].as_array().unwrap().len()
    }

    /// After an attack, the honest user still gets her link.
    pub async fn honest_user_still_links(&self) {
        let user = self.zoom_user();
        self.link(ALICE, &user).await;
        assert_eq!(self.links().await, 1);
    }

    /// The audit's entries of a subject or of all, newest first.
    pub async fn audit(&self, subject: Option<&str>) -> Vec<Value> {
        let query = subject
            .map(|subject| format!("&subject={subject}"))
            .unwrap_or_default();
        let list = self
            .api(Method::GET, &format!("/v1/audit-entries?limit=200{query}"), None)
            .await
            .json();
        list["data"].as_array().unwrap().clone()
    }

    /// The reasons of everything that the audit calls refused, newest first.
    pub async fn refusals(&self, subject: Option<&str>) -> Vec<String> {
        let entries = self.audit(subject).await;
        let refused = entries.iter().filter(|entry| entry["outcome"] == "refused");
        refused
            .map(|entry| entry["reason"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Moves every open connect session past its end.
    pub async fn sessions_run_out(&self) {
        let sql = "UPDATE connect_sessions SET expires_at = '2000-01-01' WHERE finished_at IS NULL";
        self.db.client().await.batch_execute(sql).await.unwrap();
    }

    /// A recording of the user's, not announced yet; gives the meeting's uuid.
    pub fn recording(&self, user: &User, files: &[(FileKind, u64)]) -> String {
        let files = files
            .iter()
            .zip(7..)
            .map(|((kind, size), seed)| NewFile::new(*kind, *size, seed))
            .collect();
        let meeting = NewMeeting {
            host_id: user.id.clone(),
            topic: Some("Quarterly numbers".to_owned()),
            ..NewMeeting::default()
        };
        let new = NewRecording {
            meeting: Some(meeting),
            files,
            ..NewRecording::default()
        };
        self.zoom.sim().create_recording(new).unwrap().uuid
    }

    /// A recording of one user is finished and announced, and the app is told of it; gives the meeting's uuid.
    pub async fn stored_recording(&self, user: &User, files: &[(FileKind, u64)]) -> String {
        let uuid = self.recording(user, files);
        self.finish(&uuid).await;
        self.told("recording.stored").await;
        uuid
    }

    /// Zoom has processed the recording and sends `recording.completed`.
    pub async fn finish(&self, uuid: &str) {
        let sent = self
            .zoom
            .sim()
            .finish_recording(uuid, &FileSelection::default())
            .await
            .unwrap();
        assert!(!sent.is_empty(), "Zoom told nobody");
    }

    /// Waits until the app has an event of this type; gives all that it has.
    pub async fn told(&self, event_type: &str) -> Vec<ReceivedEvent> {
        let told = |events: &[ReceivedEvent]| types(events).iter().any(|known| known == event_type);
        let events = self.app.wait_for_events(PATIENCE, told).await;
        events.unwrap_or_else(|events| panic!("no {event_type} among {:?}", types(&events)))
    }

    /// How many rows the inbox has with this status and reason.
    pub async fn inbox(&self) -> Vec<(String, Option<String>)> {
        let sql = "SELECT status, reason FROM inbox ORDER BY received_at, id";
        let rows = self.db.client().await.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

/// The types of events, in the order in which the app got them.
pub fn types(events: &[ReceivedEvent]) -> Vec<String> {
    events
        .iter()
        .map(|event| event.event()["type"].as_str().unwrap().to_owned())
        .collect()
}

/// The ticket in the URL with which a browser comes to the app.
pub fn ticket_in(url: &Url) -> String {
    url.query_pairs()
        .find(|(name, _)| name == "ticket")
        .map(|(_, value)| value.into_owned())
        .unwrap()
}

fn socket() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn address(listener: &TcpListener) -> String {
    listener.local_addr().unwrap().to_string()
}

fn url_of(listener: &TcpListener) -> Url {
    Url::parse(&format!("http://{}/", address(listener))).unwrap()
}

/// Telemetry is a process's, and tests may share one.
fn telemetry() -> Arc<Telemetry> {
    static TELEMETRY: OnceLock<Arc<Telemetry>> = OnceLock::new();
    Arc::clone(TELEMETRY.get_or_init(|| {
        let settings = TelemetrySettings {
            service_name: "domicile".to_owned(),
            service_version: "test".to_owned(),
            instance_id: "test".to_owned(),
            region: "eu".parse::<RegionId>().unwrap(),
            log_format: LogFormat::Text,
            log_filter: "warn".to_owned(),
            otlp: None,
        };
        Arc::new(domicile_telemetry::start(settings).unwrap())
    }))
}
