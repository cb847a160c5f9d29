//! How an app is started.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use domicile_kernel::{Clock, Rng, Secret};
use url::Url;

use super::edge::SystemRng;

/// A person who may sign in, with nothing but a click.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppUser {
    /// What the sign-in form sends: `alice`.
    pub id: String,
    /// What pages show.
    pub name: String,
    /// The subject under which Domicile knows her: `user:1001`.
    pub subject: String,
}

impl AppUser {
    /// A user of this app.
    pub fn new(id: &str, name: &str, subject: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            subject: subject.to_owned(),
        }
    }
}

/// Where the region's App API is, and the key to it.
#[derive(Clone)]
pub struct AppApi {
    /// The app listener; loopback hosts only.
    pub url: Url,
    /// The key whose SHA-256 stands in `DOMICILE_APP_API_KEYS`.
    pub key: Secret<String>,
}

/// How the region knows the app's users: `DOMICILE_APP_IDENTITY`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AppIdentity {
    /// `confirm`: the browser brings a ticket, which the app confirms.
    #[default]
    Confirm,
    /// `session-jwt`: a session is a JWT too.
    SessionJwt {
        /// For whom the tokens are: `DOMICILE_APP_JWT_AUDIENCE`.
        audience: String,
    },
}

/// How an app is started. The default is right for a test: a free port, Alice and Bob, nothing kept.
#[derive(Clone)]
pub struct ReceivingAppSettings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The region that the app uses, as pages show it: `European Union`.
    pub region_name: String,
    /// Who may sign in.
    pub users: Vec<AppUser>,
    /// The App API; may be handed in later by [`use_app_api`](super::ReceivingAppHandle::use_app_api).
    pub app_api: Option<AppApi>,
    /// How the region knows the app's users.
    pub identity: AppIdentity,
    /// Standard Webhooks secrets (`whsec_...`); each may have signed an event. None: every event is refused.
    pub events_secrets: Vec<Secret<String>>,
    /// Keeps the events over restarts, one JSON line each.
    pub events_file: Option<PathBuf>,
    /// Origins that "Connect Zoom" leads through: the region's public URL and Zoom's. Browsers hold a form's redirects against
    /// the policy `form-action`; with none given, that policy is left out.
    pub connect_origins: Vec<Url>,
    /// The time against which a signature's age is judged. None: the `standardwebhooks` crate asks the computer itself.
    pub clock: Option<Arc<dyn Clock>>,
    /// Where session tokens come from.
    pub rng: Arc<dyn Rng>,
}

impl Default for ReceivingAppSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            region_name: "Test region".to_owned(),
            users: vec![
                AppUser::new("alice", "Alice Archer", "user:1001"),
                AppUser::new("bob", "Bob Baker", "user:1002"),
            ],
            app_api: None,
            identity: AppIdentity::default(),
            events_secrets: Vec::new(),
            events_file: None,
            connect_origins: Vec::new(),
            clock: None,
            rng: Arc::new(SystemRng),
        }
    }
}
