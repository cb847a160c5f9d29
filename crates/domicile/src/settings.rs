//! The environment as one complete value, or every fault of it (INV-10).

mod digest;
mod environment;
mod faults;
mod identity;
mod marketplace;
mod parse;
mod receiving;
mod reference;
mod region_file;

use std::net::SocketAddr;
use std::time::Duration;

use domicile_custody::evidence::EvidenceKey;
use domicile_kernel::{RegionId, Secret};
use domicile_linking::{Admission, IdentitySettings, ReturnUrls, UnknownCluster};
use domicile_region::words::Words;
use domicile_region::{Directory, RegionFile};
use domicile_store::DbSettings;
use domicile_vault::RegionKeySettings;
use domicile_web::extract::AppKeys;
use domicile_zoom::api::passthrough::CallRules;
use domicile_zoom::authorization::RequiredHeader;
use domicile_zoom::host::{ApiBase, ZoomHosts};
use domicile_zoom::signature::{WebhookSecrets, Window};
use url::Url;

pub use environment::Environment;
pub use faults::{Fault, Faults};
pub use marketplace::MarketplaceSettings;
pub use reference::{Requirement, SETTINGS, Setting};

/// Everything that differs between deployments (INV-11).
pub struct Settings {
    /// Which region this is.
    pub region: RegionSettings,
    /// Where it listens and how it is reached.
    pub http: HttpSettings,
    /// The region's database.
    pub database: DbSettings,
    /// The region's Marketplace app and Zoom's addresses.
    pub zoom: ZoomSettings,
    /// What is asked of everything that Zoom sends.
    pub receiving: ReceivingSettings,
    /// The region's Team Chat bot, where it is on.
    pub bot: Option<BotSettings>,
    /// The region's key-encryption keys.
    pub vault: VaultSettings,
    /// The region's object storage.
    pub objects: ObjectsSettings,
    /// The application that is served.
    pub app: AppSettings,
    /// Further hosts that may be called, as the operator wrote them.
    pub egress_allow: Vec<domicile_egress::HostRule>,
    /// The region's collector.
    pub otlp_endpoint: Option<Url>,
    /// What is logged.
    pub log_filter: String,
    /// Signs the evidence of residency; without it there is none.
    pub evidence_key: Option<EvidenceKey>,
    /// SHA-256, in hexadecimal digits, over all settings that are no secrets.
    pub digest: String,
}

/// `DOMICILE_REGION_*`
pub struct RegionSettings {
    /// Such as `eu`.
    pub id: RegionId,
    /// Such as `European Union`.
    pub name: String,
    /// Zoom home clusters whose users may link here.
    pub zoom_clusters: Vec<String>,
    /// What to do with users whose home cluster Zoom does not name.
    pub unknown_cluster: UnknownCluster,
    /// Which Zoom accounts may link here.
    pub admission: Admission,
    /// All regions; empty where there is no directory.
    pub directory: Directory,
    /// The region's own file, which these settings do not contradict.
    pub file: Option<RegionFileSettings>,
}

/// `DOMICILE_REGION_FILE`
pub struct RegionFileSettings {
    /// What it says.
    pub file: Box<RegionFile>,
    /// Its configuration digest.
    pub digest: String,
}

/// `DOMICILE_HTTP_*`
pub struct HttpSettings {
    /// How browsers and Zoom reach the public listener.
    pub public_url: Url,
    /// Zoom and browsers.
    pub public_listen: SocketAddr,
    /// The app's backend.
    pub app_listen: SocketAddr,
    /// The cluster alone.
    pub ops_listen: SocketAddr,
    /// How long a client may take for the head of a request. Fixed; tests shorten it.
    pub head_timeout: Duration,
    /// How long a connection may rest between two requests. Fixed; tests shorten it.
    pub keep_alive: Duration,
}

/// `DOMICILE_ZOOM_*`
pub struct ZoomSettings {
    /// The Marketplace app's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret<String>,
    /// The secret tokens of its event subscriptions.
    pub webhook_secrets: WebhookSecrets,
    /// The header that the event subscriptions add besides, where they do.
    pub required_header: Option<RequiredHeader>,
    /// Where consent and tokens are.
    pub oauth_url: Url,
    /// The API where the token answer names none.
    pub api_base: ApiBase,
    /// Hosts that downloads and `api_url` may use.
    pub hosts: ZoomHosts,
    /// The calls of the API that the app may make through a link.
    pub calls: CallRules,
    /// The content of the file by which Zoom knows that the public host is ours.
    pub domain_proof: Option<String>,
}

/// `DOMICILE_INTAKE_*`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivingSettings {
    /// How old a signature may be, and how far ahead its time.
    pub window: Window,
    /// The largest body.
    pub body_limit_bytes: usize,
    /// How long a body may take. Fixed, because Zoom's patience is; tests shorten it.
    pub body_timeout: Duration,
}

/// `DOMICILE_BOT_*`, with what the Zoom app's settings stand in for.
pub struct BotSettings {
    /// Such as `v1abc@xmpp.zoom.us`.
    pub robot_jid: String,
    /// The Marketplace app that the bot belongs to.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret<String>,
    /// The secret tokens that sign what is sent to the bot.
    pub webhook_secrets: WebhookSecrets,
    /// The header that the bot's subscription adds besides, where it does.
    pub required_header: Option<RequiredHeader>,
    /// What the bot says by itself.
    pub words: Words,
    /// Whether people who have spoken to the bot are shown how far the fetching of their recordings has come.
    pub progress: bool,
}

/// `DOMICILE_VAULT_*` and AWS's own variables for its key service.
pub struct VaultSettings {
    /// The keys, the first of which seals.
    pub keys: RegionKeySettings,
    /// The server that is called instead of AWS KMS.
    pub kms_endpoint: Option<Url>,
}

impl VaultSettings {
    /// Whether one of the keys lies at AWS KMS.
    pub fn uses_kms(&self) -> bool {
        self.keys.kms_keys().next().is_some()
    }
}

/// `DOMICILE_OBJECTS_*` and S3's own variables.
pub struct ObjectsSettings {
    /// `s3://bucket/prefix` or `file:///path`.
    pub url: Url,
    /// Credentials, endpoint and region of S3.
    pub s3: domicile_objects::S3Options,
}

/// `DOMICILE_APP_*`
pub struct AppSettings {
    /// Digests of the keys that open the App API.
    pub api_keys: AppKeys,
    /// The app's page where a signed-in user begins.
    pub start_url: Url,
    /// Below these a connect session may return.
    pub return_urls: ReturnUrls,
    /// Where events are delivered; without it the app pulls.
    pub events: Option<domicile_delivery::Destination>,
    /// How the finisher of a connect session is known.
    pub identity: IdentitySettings,
}

/// How long a stop may take before running work is given back.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// The settings that are there, each without regard to the others: what `doctor` goes on with where some are at fault.
pub struct Parts {
    /// Every variable that was set, with the contents of the files in the place of `NAME_FILE`.
    pub variables: Environment,
    /// Which region this is.
    pub region: Option<RegionSettings>,
    /// Where it listens and how it is reached.
    pub http: Option<HttpSettings>,
    /// The region's database.
    pub database: Option<DbSettings>,
    /// The region's Marketplace app and Zoom's addresses.
    pub zoom: Option<ZoomSettings>,
    /// The region's Team Chat bot, where it is on.
    pub bot: Option<BotSettings>,
    /// The region's key-encryption keys.
    pub vault: Option<VaultSettings>,
    /// The region's object storage.
    pub objects: Option<ObjectsSettings>,
    /// The application that is served.
    pub app: Option<AppSettings>,
    /// Further hosts that may be called.
    pub egress_allow: Vec<domicile_egress::HostRule>,
    /// The region's collector.
    pub otlp_endpoint: Option<Url>,
}

impl Parts {
    /// Everything that can be read, and every fault that stops a start.
    pub fn of(environment: &Environment) -> (Self, Option<Faults>) {
        parse::parts(environment)
    }
}

impl Settings {
    /// Reads every setting, and gives every fault if there is one.
    pub fn from_environment(environment: &Environment) -> Result<Self, Faults> {
        parse::settings(environment)
    }
}
