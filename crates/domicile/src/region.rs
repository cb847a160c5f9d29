//! One region's rooms, built from its settings.

use std::sync::Arc;
use std::time::Duration;

use domicile_chatbot::listening::Listening;
use domicile_chatbot::{BotEraser, Messages};
use domicile_custody::Contactbook;
use domicile_custody::evidence::Deployment;
use domicile_delivery::{AnswerReader, Delivery, DeliverySettings};
use domicile_egress::{Client, Contacts, Egress, EgressError, Fence, HostRule, SystemResolver, Timeouts};
use domicile_intake::{Dispatcher, Intake, IntakeSettings};
use domicile_kernel::Ids;
use domicile_leases::{Workers, WorkersBuilder};
use domicile_linking::identity::JWKS_TIMEOUTS;
use domicile_linking::{Identity, IdentitySettings, LinkEraser, Linking, LinkingParts, LinkingSettings};
use domicile_objects::{AwsSigner, ObjectStorage, ObjectsError};
use domicile_recordings::reconcile::Reconciler;
use domicile_recordings::{Library, NoProgress, Progress, RecordingsEraser};
use domicile_store::{Db, SchemaError, StoreError, check_schema};
use domicile_vault::{AwsKms, CheckError, InvalidVaultKeys, KMS_TIMEOUTS, RegionKeys, Vault};
use domicile_web::extract::{BodyBudget, ZoomEndpointVerifier};
use domicile_zoom::api::ZoomApi;
use domicile_zoom::oauth::{InvalidOAuthUrl, ZoomOAuth};
use thiserror::Error;
use url::Url;

use crate::bot;
use crate::marks::{self, MarksError};
use crate::plugs::bot::{BotAnswers, BotEvents, ErasedMessages, ShownProgress};
use crate::plugs::{
    AwsRequests, ErasedEvents, ErasedRecordings, KeptBodies, LinkTokens, LinksRouter, RecordingEvents,
};
use crate::settings::{AppSettings, DRAIN_TIMEOUT, ObjectsSettings, Settings, VaultSettings, ZoomSettings};

/// Why a region could not be built.
#[derive(Debug, Error)]
pub enum RegionError {
    /// The way out could not be built.
    #[error("outgoing connections cannot be set up")]
    Egress(#[from] EgressError),
    /// The object storage could not be opened.
    #[error("the object storage cannot be opened")]
    Objects(#[from] ObjectsError),
    /// The region keys cannot be used.
    #[error("DOMICILE_VAULT_KEYS cannot be used")]
    VaultKeys(#[from] InvalidVaultKeys),
    /// AWS's settings do not lead to its key service.
    #[error("AWS KMS cannot be called")]
    Kms(#[source] ObjectsError),
    /// The region keys do not fit the data keys in the database.
    #[error(transparent)]
    Vault(#[from] CheckError),
    /// A resource carries another region's mark.
    #[error(transparent)]
    Marks(#[from] MarksError),
    /// Zoom's OAuth URL is no base.
    #[error(transparent)]
    OAuth(#[from] InvalidOAuthUrl),
    /// A URL cannot be allowed through the fence.
    #[error("DOMICILE_APP_EVENTS_URL or another URL cannot be called")]
    Rule(#[from] domicile_egress::InvalidRule),
    /// The public URL cannot carry a path.
    #[error("DOMICILE_HTTP_PUBLIC_URL cannot carry a path")]
    PublicUrl,
    /// The database is not reachable or has another schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The pool could not be made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The rooms of a region, wired together.
#[derive(Clone)]
pub struct Region {
    /// The settings that it was built from.
    pub settings: Arc<Settings>,
    /// Ids, clock and randomness.
    pub ids: Ids,
    /// The region's database.
    pub db: Db,
    /// Seals and opens personal data.
    pub vault: Vault,
    /// Takes in what Zoom sends.
    pub intake: Intake,
    /// What the bodies of Zoom's requests may hold together, in all workers and on both endpoints.
    pub zoom_bodies: BodyBudget,
    /// Links and their grants.
    pub linking: Linking,
    /// Recordings and their files, to be read.
    pub library: Library,
    fetching: domicile_recordings::Parts,
    /// Events for the app.
    pub delivery: Delivery,
    /// What the region's bot says; none where it has no bot.
    pub bot: Option<Messages>,
    /// Hears what is said to it.
    listening: Option<Listening>,
    /// Writes down whom the process talks to.
    pub contactbook: Contactbook,
    /// The way out, for what is said of it.
    fence: Arc<Fence>,
}

/// A way out for calls with small answers.
pub(crate) const CALL: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(15),
    total: Some(Duration::from_secs(30)),
};

/// A way out for files of any size: silence ends it, not length.
const TRANSFER: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(60),
    total: None,
};

impl Region {
    /// Wires the rooms. Nothing is called and no connection opened yet.
    pub fn build(mut settings: Settings, ids: Ids) -> Result<Self, RegionError> {
        let egress = egress(&settings)?;
        let db = Db::new(settings.database.clone())?;
        let clock = Arc::clone(ids.clock());
        let keys = region_keys(&settings.vault, &settings.objects, &egress)?;
        let vault = Vault::new(db.clone(), ids.clone(), keys);
        let zoom_hosts = Arc::new(settings.zoom.hosts.clone());
        let zoom_client = egress.client("zoom_api", CALL).for_foreign_urls();
        let api = ZoomApi::new(zoom_client, Arc::clone(&zoom_hosts), Arc::clone(&clock));
        let redirect_uri = settings
            .http
            .public_url
            .join("/oauth/callback")
            .map_err(|_| RegionError::PublicUrl)?;
        let oauth = ZoomOAuth::new(
            &settings.zoom.client_id,
            settings.zoom.client_secret.clone(),
            &settings.zoom.oauth_url,
            &redirect_uri,
            egress.client("zoom_oauth", CALL),
            Arc::clone(&clock),
        )?;
        let delivery = Delivery::new(
            DeliverySettings {
                region: settings.region.id.clone(),
                destination: settings.app.events.take(),
            },
            db.clone(),
            ids.clone(),
            vault.clone(),
            &egress,
        );
        let bot = bot::build(
            &settings,
            &bot::Shared {
                db: &db,
                ids: &ids,
                vault: &vault,
                delivery: &delivery,
                egress: &egress,
                zoom_hosts: &zoom_hosts,
                redirect_uri: &redirect_uri,
            },
        )?;
        let identity = Identity::new(
            settings.app.identity.clone(),
            egress.client("app_jwks", JWKS_TIMEOUTS),
            clock,
        );
        let linking = Linking::new(LinkingParts {
            db: db.clone(),
            ids: ids.clone(),
            vault: vault.clone(),
            oauth,
            api: api.clone(),
            default_api_base: settings.zoom.api_base.clone(),
            outbox: Arc::new(delivery.clone()),
            identity,
            settings: linking_settings(&settings),
        });
        let intake = Intake::new(IntakeSettings::default(), db.clone(), ids.clone(), vault.clone());
        let storage = ObjectStorage::open(
            &settings.objects.url,
            &settings.objects.s3,
            egress.client("object_storage", domicile_objects::TIMEOUTS),
        )?
        .for_region(settings.region.id.clone());
        let library = Library::new(db.clone(), vault.clone(), storage.clone());
        let listening = bot
            .as_ref()
            .zip(settings.bot.as_ref())
            .map(|(messages, bot_settings)| {
                bot::listening(
                    &settings,
                    bot_settings,
                    messages,
                    &bot::Rooms {
                        db: &db,
                        ids: &ids,
                        vault: &vault,
                        delivery: &delivery,
                        intake: &intake,
                        linking: &linking,
                        library: &library,
                    },
                )
            });
        let progress: Arc<dyn Progress> = match &listening {
            Some(listening) => Arc::new(ShownProgress(listening.clone())),
            None => Arc::new(NoProgress),
        };
        let fetching = domicile_recordings::Parts {
            progress,
            db: db.clone(),
            ids: ids.clone(),
            vault: vault.clone(),
            storage,
            outbox: Arc::new(delivery.clone()),
            bodies: Arc::new(KeptBodies(intake.clone())),
            tokens: Arc::new(LinkTokens(linking.clone())),
            downloads: egress.client("zoom_download", TRANSFER).for_foreign_urls(),
            api,
        };
        let contactbook = Contactbook::new(db.clone(), ids.clone(), vec![egress.fence().contacts().clone()]);
        Ok(Self {
            settings: Arc::new(settings),
            contactbook,
            fence: Arc::clone(egress.fence()),
            ids,
            db,
            vault,
            intake,
            zoom_bodies: BodyBudget::new(ZoomEndpointVerifier::DEFAULT_BUDGET_BYTES),
            linking,
            library,
            fetching,
            delivery,
            bot,
            listening,
        })
    }

    /// Refuses a database whose schema this version does not know, data keys that these region keys do not open, and a
    /// database, keys or storage that carry another region's mark.
    pub async fn check(&self) -> Result<(), RegionError> {
        check_schema(&self.db).await?;
        let resources = (&self.db, &self.vault, Some(&self.fetching.storage));
        marks::check(&self.settings.region.id, self.ids.clock().now(), resources).await?;
        Ok(self.vault.check().await?)
    }

    /// Counts what this fence lets out too: the collector's, which is built before the region.
    #[must_use]
    pub fn counting(mut self, contacts: Option<Contacts>) -> Self {
        self.contactbook = self.contactbook.and(contacts);
        self
    }

    /// What the evidence says of this deployment.
    pub fn deployment(&self) -> Deployment {
        let settings = &self.settings;
        Deployment {
            region_id: settings.region.id.to_string(),
            region_name: settings.region.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            configuration_sha256: settings.digest.clone(),
            database: settings.database.place(),
            object_storage: object_storage(&settings.objects),
            allowed: self.fence.allowed().chain(collector_rule(settings)).collect(),
        }
    }

    /// The region's object storage.
    pub(crate) fn storage(&self) -> &ObjectStorage {
        &self.fetching.storage
    }

    /// The job engine with every kind of job: the one list.
    pub fn workers(&self) -> Workers {
        let handlers = domicile_linking::jobs::handlers(&self.linking, self.erasers())
            .into_iter()
            .chain(domicile_recordings::handlers(self.fetching.clone()))
            .chain(self.delivery.handler(self.answers()))
            .chain(self.bot.iter().flat_map(Messages::handlers))
            .chain(self.listening.iter().flat_map(Listening::handlers));
        handlers
            .fold(
                Workers::builder(self.db.clone(), self.ids.clone()),
                WorkersBuilder::handler,
            )
            .drain_timeout(DRAIN_TIMEOUT)
            .build()
    }

    /// Brings rows, objects and Zoom into agreement.
    pub fn reconciler(&self) -> Reconciler {
        Reconciler::new(self.fetching.clone())
    }

    /// Every room that keeps something of links: the one list.
    fn erasers(&self) -> Vec<Arc<dyn LinkEraser>> {
        let recordings =
            RecordingsEraser::new(self.db.clone(), self.ids.clone(), self.fetching.storage.clone());
        vec![
            Arc::new(ErasedRecordings(recordings)),
            Arc::new(ErasedEvents(self.delivery.clone())),
            Arc::new(ErasedMessages(self.bot_eraser())),
        ]
    }

    /// Reads what the app answers events of the bot with.
    fn answers(&self) -> Option<Arc<dyn AnswerReader>> {
        let listening = self.listening.clone()?;
        Some(Arc::new(BotAnswers(listening)))
    }

    /// Erases what the bot said, also where there is none any more.
    pub fn bot_eraser(&self) -> BotEraser {
        BotEraser::new(self.db.clone(), self.ids.clone())
    }

    /// The Marketplace apps whose events these endpoints are for.
    fn client_ids(&self) -> Vec<String> {
        let bot = self.settings.bot.as_ref().map(|bot| bot.client_id.clone());
        let zoom = self.settings.zoom.client_id.clone();
        bot.into_iter().chain([zoom]).collect()
    }

    /// The inbox's dispatcher with every handler of events: the one list.
    pub fn dispatcher(&self) -> Dispatcher {
        let dispatcher = Dispatcher::builder(self.db.clone(), self.ids.clone(), Arc::new(LinksRouter))
            .handler(Arc::new(RecordingEvents {
                ids: self.ids.clone(),
            }))
            .client_ids(self.client_ids());
        let listening = self.listening.iter();
        listening
            .fold(dispatcher, |dispatcher, listening| {
                dispatcher.account_handler(Arc::new(BotEvents(listening.clone())))
            })
            .build()
    }
}

fn object_storage(objects: &ObjectsSettings) -> String {
    let hosts = ObjectStorage::egress_rules(&objects.url, &objects.s3).unwrap_or_default();
    let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    if hosts.is_empty() {
        objects.url.to_string()
    } else {
        format!("{} at {}", objects.url, hosts.join(", "))
    }
}

fn collector_rule(settings: &Settings) -> Option<String> {
    let rule = HostRule::for_url(settings.otlp_endpoint.as_ref()?).ok()?;
    Some(format!("{rule} (OTEL_EXPORTER_OTLP_ENDPOINT)"))
}

/// Everything that a region with these settings may call, as the fence says it.
#[cfg(test)]
pub(crate) fn allowed(settings: &Settings) -> Vec<String> {
    let Ok(fence) = fence(&callable(settings)) else {
        return Vec::new();
    };
    fence.allowed().chain(collector_rule(settings)).collect()
}

/// The vault alone, over this region's database with a schema that this version knows: for the commands about its keys.
pub async fn vault(settings: &Settings, ids: Ids) -> Result<Vault, RegionError> {
    let keys = region_keys(&settings.vault, &settings.objects, &egress(settings)?)?;
    let db = Db::new(settings.database.clone())?;
    check_schema(&db).await?;
    let vault = Vault::new(db.clone(), ids.clone(), keys);
    marks::check(&settings.region.id, ids.clock().now(), (&db, &vault, None)).await?;
    Ok(vault)
}

/// The ring of region keys, with a way to AWS KMS where one of them lies there.
pub(crate) fn region_keys(
    vault: &VaultSettings,
    objects: &ObjectsSettings,
    egress: &Egress,
) -> Result<RegionKeys, RegionError> {
    let kms = if vault.uses_kms() {
        let signer = AwsSigner::open(&objects.s3, egress.client("aws_sts", CALL));
        Some(AwsKms {
            client: egress.client("aws_kms", KMS_TIMEOUTS),
            signer: Arc::new(AwsRequests(signer.map_err(RegionError::Kms)?)),
            endpoint: vault.kms_endpoint.clone(),
        })
    } else {
        None
    };
    Ok(vault.keys.connect(kms.as_ref())?)
}

fn callable(settings: &Settings) -> Callable<'_> {
    Callable {
        zoom: Some(&settings.zoom),
        objects: Some(&settings.objects),
        vault: Some(&settings.vault),
        app: Some(&settings.app),
        egress_allow: &settings.egress_allow,
    }
}

fn egress(settings: &Settings) -> Result<Egress, RegionError> {
    Ok(Egress::new(
        Arc::new(fence(&callable(settings))?),
        Arc::new(SystemResolver),
    )?)
}

fn linking_settings(settings: &Settings) -> LinkingSettings {
    LinkingSettings {
        region_id: settings.region.id.clone(),
        public_url: settings.http.public_url.clone(),
        start_url: settings.app.start_url.clone(),
        return_urls: settings.app.return_urls.clone(),
        clusters: settings.region.zoom_clusters.clone(),
        unknown_cluster: settings.region.unknown_cluster,
        admission: settings.region.admission,
        directory: settings.region.directory.clone(),
        zoom_calls: settings.zoom.calls.clone(),
    }
}

/// The settings that name what may be called; without those that are at fault.
pub(crate) struct Callable<'a> {
    pub(crate) zoom: Option<&'a ZoomSettings>,
    pub(crate) objects: Option<&'a ObjectsSettings>,
    pub(crate) vault: Option<&'a VaultSettings>,
    pub(crate) app: Option<&'a AppSettings>,
    pub(crate) egress_allow: &'a [HostRule],
}

/// Everything that the process may call, each with the setting that says so.
pub(crate) fn fence(callable: &Callable<'_>) -> Result<Fence, RegionError> {
    let mut fence = Fence::builder()
        .setting("DOMICILE_ZOOM_HOSTS", "Zoom's API and downloads")
        .setting("DOMICILE_VAULT_KEYS", "AWS KMS")
        .setting("DOMICILE_OBJECTS_URL", "the object storage")
        .setting("DOMICILE_APP_EVENTS_URL", "the app's events")
        .setting("DOMICILE_APP_JWT_JWKS_URL", "the app's keys")
        .setting("DOMICILE_EGRESS_ALLOW", "further hosts");
    if let Some(zoom) = callable.zoom {
        fence = fence
            .allow_all("DOMICILE_ZOOM_HOSTS", zoom.hosts.rules().iter().cloned())
            .allow("DOMICILE_ZOOM_OAUTH_URL", HostRule::for_url(&zoom.oauth_url)?)
            .allow("DOMICILE_ZOOM_API_URL", HostRule::for_url(zoom.api_base.url())?);
    }
    fence = fence.allow_all(
        "DOMICILE_EGRESS_ALLOW",
        callable.egress_allow.iter().cloned().map(HostRule::internal),
    );
    if let Some(objects) = callable.objects {
        for rule in ObjectStorage::egress_rules(&objects.url, &objects.s3)? {
            fence = fence.allow("DOMICILE_OBJECTS_URL", rule.internal());
        }
        if let Some(vault) = callable.vault.filter(|vault| vault.uses_kms()) {
            let kms = vault.keys.egress_rules(vault.kms_endpoint.as_ref())?;
            let tokens = AwsSigner::egress_rules(&objects.s3).map_err(RegionError::Kms)?;
            let rules = kms.into_iter().chain(tokens).map(HostRule::internal);
            fence = fence.allow_all("DOMICILE_VAULT_KEYS", rules);
        }
    }
    let Some(app) = callable.app else {
        return Ok(fence.build());
    };
    if let Some(events) = &app.events {
        fence = fence.allow(
            "DOMICILE_APP_EVENTS_URL",
            HostRule::for_url(&events.url)?.internal(),
        );
    }
    if let IdentitySettings::SessionJwt(jwt) = &app.identity {
        fence = fence.allow(
            "DOMICILE_APP_JWT_JWKS_URL",
            HostRule::for_url(&jwt.jwks_url)?.internal(),
        );
    }
    Ok(fence.build())
}

/// The client through which telemetry leaves. It has a fence of its own, because it is needed before metrics exist, and a
/// fence counts its refusals with the metrics that exist when it is built.
pub fn collector_client(settings: &Settings) -> Result<Option<(Url, Client)>, RegionError> {
    let Some(endpoint) = &settings.otlp_endpoint else {
        return Ok(None);
    };
    Ok(Some((endpoint.clone(), collector(endpoint)?)))
}

/// A client that reaches this collector alone.
pub(crate) fn collector(endpoint: &Url) -> Result<Client, RegionError> {
    let rule = HostRule::for_url(endpoint)?.internal();
    let fence = Fence::builder()
        .allow("OTEL_EXPORTER_OTLP_ENDPOINT", rule)
        .build();
    let egress = Egress::new(Arc::new(fence), Arc::new(SystemResolver))?;
    Ok(egress.client("otlp", CALL))
}
