//! What all requests share.

use std::sync::Arc;

use domicile_kernel::Clock;
use standardwebhooks::Webhook;
use url::{Origin, Url};

use super::StartError;
use super::backend::Backend;
use super::edge::SystemClock;
use super::inbox::Inbox;
use super::receiver::Verifier;
use super::session::Sessions;
use super::session_token::SessionIssuer;
use super::settings::{AppIdentity, AppUser, ReceivingAppSettings};
use super::talk::Talk;

/// The app without its sockets.
pub(super) struct Shared {
    pub(super) url: Url,
    pub(super) region_name: String,
    pub(super) users: Vec<AppUser>,
    pub(super) backend: Backend,
    pub(super) sessions: Sessions,
    /// Only where the region knows the app's users by session tokens.
    pub(super) session_issuer: Option<SessionIssuer>,
    pub(super) inbox: Inbox,
    pub(super) talk: Talk,
    pub(super) verifier: Verifier,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) content_policy: String,
}

impl Shared {
    pub(super) fn new(settings: ReceivingAppSettings, url: Url) -> Result<Self, StartError> {
        let secrets = settings.events_secrets.iter();
        let secrets: Vec<Webhook> = secrets
            .map(|secret| Webhook::new(secret.expose()).map_err(|_| StartError::Secret))
            .collect::<Result<_, _>>()?;
        let clock = settings.clock.clone().unwrap_or_else(|| Arc::new(SystemClock));
        let port = url.port().unwrap_or(80);
        let session_issuer = match settings.identity {
            AppIdentity::Confirm => None,
            AppIdentity::SessionJwt { audience } => Some(SessionIssuer::new(
                url.origin().ascii_serialization(),
                audience,
                format!("demo_session_{port}"),
                Arc::clone(&clock),
                Arc::clone(&settings.rng),
            )),
        };
        Ok(Self {
            content_policy: content_policy(&settings.connect_origins),
            // Cookies know no ports: two apps of one machine need two names.
            sessions: Sessions::new(format!("demo_app_{port}"), settings.rng.clone()),
            inbox: Inbox::open(settings.events_file.as_deref()).map_err(StartError::EventsFile)?,
            verifier: Verifier::new(secrets, settings.clock),
            talk: Talk::default(),
            session_issuer,
            clock,
            backend: Backend::new(settings.app_api),
            region_name: settings.region_name,
            users: settings.users,
            url,
        })
    }

    /// A page of this app.
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(path);
        url
    }

    /// Where Domicile sends the browser back.
    pub(super) fn return_url(&self) -> Url {
        self.at("/zoom/return")
    }
}

/// `Content-Security-Policy` of every page: its own style sheet, its own media, no script at all.
fn content_policy(connect_origins: &[Url]) -> String {
    let mut policy = "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; \
                      base-uri 'none'; frame-ancestors 'none'"
        .to_owned();
    let origins: Vec<String> = connect_origins
        .iter()
        .map(Url::origin)
        .filter(Origin::is_tuple)
        .map(|origin| origin.ascii_serialization())
        .collect();
    if !origins.is_empty() {
        policy.push_str("; form-action 'self' ");
        policy.push_str(&origins.join(" "));
    }
    policy
}
