//! From variables to typed settings, collecting every fault.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use domicile_custody::evidence::EvidenceKey;
use domicile_delivery::{Destination, EventSecrets};
use domicile_egress::HostRule;
use domicile_kernel::{RegionId, Secret};
use domicile_linking::{Admission, ReturnUrls, UnknownCluster};
use domicile_objects::{AwsSigner, ObjectStorage, S3Options};
use domicile_region::{Directory, Findings};
use domicile_store::DbSettings;
use domicile_vault::RegionKeySettings;
use domicile_web::extract::AppKeys;
use domicile_zoom::api::passthrough::CallRules;
use domicile_zoom::host::ZoomHosts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::digest::digest;
use super::environment::Environment;
use super::faults::Faults;
use super::reference::{Requirement, SETTINGS};
use super::region_file;
use super::{
    AppSettings, HttpSettings, ObjectsSettings, Parts, RegionSettings, Settings, VaultSettings, ZoomSettings,
};

/// Zoom's own patience ends after three seconds, a browser on a slow line may need more.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(5);

#[derive(Deserialize, Default)]
struct RegionSection {
    id: Option<String>,
    name: Option<String>,
    zoom_clusters: Option<String>,
    unknown_cluster: Option<String>,
    admission: Option<String>,
    directory_file: Option<String>,
}

#[derive(Deserialize, Default)]
struct HttpSection {
    public_url: Option<String>,
    public_listen: Option<String>,
    app_listen: Option<String>,
    ops_listen: Option<String>,
}

#[derive(Deserialize, Default)]
struct DatabaseSection {
    url: Option<String>,
}

#[derive(Deserialize, Default)]
struct ZoomSection {
    client_id: Option<String>,
    client_secret: Option<String>,
    webhook_secrets: Option<String>,
    oauth_url: Option<String>,
    api_url: Option<String>,
    hosts: Option<String>,
    calls: Option<String>,
    webhook_authorization: Option<String>,
    webhook_header: Option<String>,
    domain_proof: Option<String>,
}

#[derive(Deserialize, Default)]
struct VaultSection {
    keys: Option<String>,
}

#[derive(Deserialize, Default)]
struct ObjectsSection {
    url: Option<String>,
}

#[derive(Deserialize, Default)]
struct AppSection {
    api_keys: Option<String>,
    start_url: Option<String>,
    return_urls: Option<String>,
    events_url: Option<String>,
    events_secrets: Option<String>,
    identity: Option<String>,
}

#[derive(Deserialize, Default)]
struct EvidenceSection {
    key: Option<String>,
}

#[derive(Deserialize, Default)]
struct EgressSection {
    allow: Option<String>,
}

#[derive(Deserialize, Default)]
struct OtelSection {
    endpoint: Option<String>,
}

/// What is there, whatever else is wrong.
pub(super) fn parts(environment: &Environment) -> (Parts, Option<Faults>) {
    let faults = settings(environment).err();
    let mut reader = Reader {
        faults: Faults::default(),
        environment: Environment::default(),
    };
    reader.environment = environment.resolved(&mut reader.faults);
    let zoom = reader.zoom();
    let parts = Parts {
        region: reader.region(),
        http: reader.http(),
        database: reader.database(),
        bot: reader.bot(zoom.as_ref()).flatten(),
        zoom,
        vault: reader.vault(),
        objects: reader.objects(),
        app: reader.app(),
        egress_allow: reader.egress_allow().unwrap_or_default(),
        otlp_endpoint: reader.otlp_endpoint().flatten(),
        variables: reader.environment,
    };
    (parts, faults)
}

/// Parses everything; nothing is skipped because something before it is wrong.
pub(super) fn settings(environment: &Environment) -> Result<Settings, Faults> {
    let mut reader = Reader {
        faults: Faults::default(),
        environment: Environment::default(),
    };
    reader.environment = environment.resolved(&mut reader.faults);
    let zoom = reader.zoom();
    let bot = reader.bot(zoom.as_ref());
    let parts = (
        reader.region(),
        reader.http(),
        reader.database(),
        zoom,
        reader.receiving(),
        bot,
        reader.vault(),
        reader.objects(),
        reader.app(),
        reader.egress_allow(),
        reader.otlp_endpoint(),
        reader.log_filter(),
        reader.evidence_key(),
    );
    let settings = match parts {
        (
            Some(region),
            Some(http),
            Some(database),
            Some(zoom),
            Some(receiving),
            Some(bot),
            Some(vault),
            Some(objects),
            Some(app),
            Some(egress_allow),
            Some(otlp_endpoint),
            Some(log_filter),
            Some(evidence_key),
        ) if reader.faults.is_empty() => Settings {
            region,
            http,
            database,
            zoom,
            receiving,
            bot,
            vault,
            objects,
            app,
            egress_allow,
            otlp_endpoint,
            log_filter,
            evidence_key,
            digest: digest(&reader.environment),
        },
        _ => return Err(reader.faults),
    };
    region_file::contradictions_inside(&settings, &mut reader.faults);
    if reader.faults.is_empty() {
        Ok(settings)
    } else {
        Err(reader.faults)
    }
}

pub(super) struct Reader {
    pub(super) faults: Faults,
    pub(super) environment: Environment,
}

impl Reader {
    /// One section, its values still text: `envy` would stop at the first fault.
    pub(super) fn section<T: DeserializeOwned + Default>(&mut self, prefix: &str) -> T {
        let read = envy::prefixed(prefix).from_iter(self.environment.variables());
        self.faults.take(prefix, read).unwrap_or_default()
    }

    /// The text of a setting: what is set, else its default; a required one that is missing is a fault.
    pub(super) fn text(&mut self, name: &str, value: Option<String>) -> Option<String> {
        let value = value
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty());
        if value.is_some() {
            return value;
        }
        let setting = SETTINGS.iter().find(|setting| setting.name == name)?;
        match setting.requirement {
            Requirement::Default(default) => Some(default.to_owned()),
            Requirement::Optional => None,
            Requirement::Required => {
                self.faults.add(name, format!("is not set: {}", setting.meaning));
                None
            }
        }
    }

    pub(super) fn parsed<T>(&mut self, name: &str, value: Option<String>) -> Option<T>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        let text = self.text(name, value)?;
        self.faults.take(name, text.parse())
    }

    /// A URL that is https, or http on a loopback host.
    pub(super) fn url(&mut self, name: &str, value: Option<String>) -> Option<Url> {
        let text = self.text(name, value)?;
        let url = self.faults.take(
            name,
            Url::parse(&text).map_err(|error| format!("is no URL: {error}")),
        )?;
        self.faults.take(name, HostRule::for_url(&url))?;
        Some(url)
    }

    pub(super) fn list(&mut self, name: &str, value: Option<String>) -> Option<Vec<String>> {
        let text = self.text(name, value)?;
        let entries: Vec<_> = split(&text).map(str::to_owned).collect();
        if entries.is_empty() {
            self.faults.add(name, "holds no entry");
            return None;
        }
        Some(entries)
    }

    fn region(&mut self) -> Option<RegionSettings> {
        let section: RegionSection = self.section("DOMICILE_REGION_");
        let id = self.parsed::<RegionId>("DOMICILE_REGION_ID", section.id);
        let name = self.text("DOMICILE_REGION_NAME", section.name);
        let clusters = self.list("DOMICILE_REGION_ZOOM_CLUSTERS", section.zoom_clusters);
        let zoom_clusters = clusters.and_then(|clusters| {
            let wrong = clusters
                .iter()
                .find(|cluster| !cluster.bytes().all(|b| b.is_ascii_lowercase()));
            match wrong {
                Some(wrong) => {
                    let problem =
                        format!("{wrong:?} is no cluster; write the letters of its API host, such as eu");
                    self.faults.add("DOMICILE_REGION_ZOOM_CLUSTERS", problem);
                    None
                }
                None => Some(clusters),
            }
        });
        let unknown_cluster =
            self.parsed::<UnknownCluster>("DOMICILE_REGION_UNKNOWN_CLUSTER", section.unknown_cluster);
        let admission = self.parsed::<Admission>("DOMICILE_REGION_ADMISSION", section.admission);
        let directory = self.directory(section.directory_file);
        let file = self.region_file();
        if let (Some(directory), Some(id), Some(clusters)) = (&directory, &id, &zoom_clusters) {
            self.agreement(directory, id, clusters);
        }
        Some(RegionSettings {
            id: id?,
            name: name?,
            zoom_clusters: zoom_clusters?,
            unknown_cluster: unknown_cluster?,
            admission: admission?,
            directory: directory?,
            file: file?,
        })
    }

    /// The directory; an empty one where none is named.
    fn directory(&mut self, file: Option<String>) -> Option<Directory> {
        const FILE: &str = "DOMICILE_REGION_DIRECTORY_FILE";
        let Some(path) = self.text(FILE, file) else {
            return Some(Directory::default());
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("the file cannot be read: {}", error.kind()));
        let text = self.faults.take(FILE, text)?;
        match Directory::parse(&text) {
            Ok(directory) => Some(directory),
            Err(Findings(findings)) => {
                for finding in findings {
                    self.faults.add(FILE, finding);
                }
                None
            }
        }
    }

    /// What the directory says of this region must be what its settings say.
    fn agreement(&mut self, directory: &Directory, id: &RegionId, clusters: &[String]) {
        if directory.regions().is_empty() {
            return;
        }
        let mut clusters = clusters.to_vec();
        clusters.sort_unstable();
        let theirs = directory.region(id).map(|entry| {
            let mut theirs = entry.zoom_clusters.clone();
            theirs.sort_unstable();
            theirs
        });
        let problem = match theirs {
            None => format!("does not list this region, {id}"),
            Some(theirs) if theirs != clusters => {
                format!("gives the region {id} other clusters than DOMICILE_REGION_ZOOM_CLUSTERS")
            }
            Some(_) => return,
        };
        self.faults.add("DOMICILE_REGION_DIRECTORY_FILE", problem);
    }

    fn http(&mut self) -> Option<HttpSettings> {
        let section: HttpSection = self.section("DOMICILE_HTTP_");
        let public_url = self
            .url("DOMICILE_HTTP_PUBLIC_URL", section.public_url)
            .and_then(|url| {
                if url.path() == "/" && url.query().is_none() && url.fragment().is_none() {
                    return Some(url);
                }
                self.faults.add(
                    "DOMICILE_HTTP_PUBLIC_URL",
                    "must hold nothing after the host: the paths are fixed",
                );
                None
            });
        let public_listen = self.parsed::<SocketAddr>("DOMICILE_HTTP_PUBLIC_LISTEN", section.public_listen);
        let app_listen = self.parsed::<SocketAddr>("DOMICILE_HTTP_APP_LISTEN", section.app_listen);
        let ops_listen = self.parsed::<SocketAddr>("DOMICILE_HTTP_OPS_LISTEN", section.ops_listen);
        Some(HttpSettings {
            public_url: public_url?,
            public_listen: public_listen?,
            app_listen: app_listen?,
            ops_listen: ops_listen?,
            head_timeout: HEAD_TIMEOUT,
            keep_alive: KEEP_ALIVE,
        })
    }

    fn database(&mut self) -> Option<DbSettings> {
        const URL: &str = "DOMICILE_DATABASE_URL";
        let section: DatabaseSection = self.section("DOMICILE_DATABASE_");
        let url = Secret::new(self.text(URL, section.url)?);
        self.faults.take(URL, DbSettings::parse(&url))
    }

    pub(super) fn zoom(&mut self) -> Option<ZoomSettings> {
        const WEBHOOK_SECRETS: &str = "DOMICILE_ZOOM_WEBHOOK_SECRETS";
        const API_URL: &str = "DOMICILE_ZOOM_API_URL";
        let section: ZoomSection = self.section("DOMICILE_ZOOM_");
        let client_id = self.text("DOMICILE_ZOOM_CLIENT_ID", section.client_id);
        let client_secret = self
            .text("DOMICILE_ZOOM_CLIENT_SECRET", section.client_secret)
            .map(Secret::new);
        let secrets = self.webhook_secrets(WEBHOOK_SECRETS, section.webhook_secrets);
        let required_header = self.required_header(
            (
                "DOMICILE_ZOOM_WEBHOOK_AUTHORIZATION",
                section.webhook_authorization,
            ),
            ("DOMICILE_ZOOM_WEBHOOK_HEADER", section.webhook_header),
        );
        let oauth_url = self.url("DOMICILE_ZOOM_OAUTH_URL", section.oauth_url);
        let api_url = self.url(API_URL, section.api_url);
        let hosts = self.parsed::<ZoomHosts>("DOMICILE_ZOOM_HOSTS", section.hosts);
        let calls = self.parsed::<CallRules>("DOMICILE_ZOOM_CALLS", section.calls);
        let domain_proof = self.text("DOMICILE_ZOOM_DOMAIN_PROOF", section.domain_proof);
        let api_base = match (&hosts, api_url) {
            (Some(hosts), Some(url)) => self.faults.take(API_URL, hosts.validate_api_url(url.as_str())),
            _ => None,
        };
        Some(ZoomSettings {
            client_id: client_id?,
            client_secret: client_secret?,
            webhook_secrets: secrets?,
            required_header: required_header?,
            oauth_url: oauth_url?,
            api_base: api_base?,
            hosts: hosts?,
            calls: calls?,
            domain_proof,
        })
    }

    fn vault(&mut self) -> Option<VaultSettings> {
        const KEYS: &str = "DOMICILE_VAULT_KEYS";
        let section: VaultSection = self.section("DOMICILE_VAULT_");
        let keys = Secret::new(self.text(KEYS, section.keys)?);
        let keys = self.faults.take(KEYS, RegionKeySettings::parse(&keys))?;
        let mut settings = VaultSettings {
            keys,
            kms_endpoint: None,
        };
        if settings.uses_kms() {
            let aws = S3Options::from_vars(self.environment.variables());
            let signer = self.faults.take(KEYS, AwsSigner::egress_rules(&aws));
            settings.kms_endpoint = self.faults.take(KEYS, aws.kms_endpoint())?;
            let endpoint = settings.kms_endpoint.as_ref();
            self.faults.take(KEYS, settings.keys.egress_rules(endpoint))?;
            signer?;
        }
        Some(settings)
    }

    fn objects(&mut self) -> Option<ObjectsSettings> {
        const URL: &str = "DOMICILE_OBJECTS_URL";
        let section: ObjectsSection = self.section("DOMICILE_OBJECTS_");
        let text = self.text(URL, section.url)?;
        let url = self.faults.take(
            URL,
            Url::parse(&text).map_err(|error| format!("is no URL: {error}")),
        )?;
        let s3 = S3Options::from_vars(self.environment.variables());
        self.faults.take(URL, ObjectStorage::egress_rules(&url, &s3))?;
        Some(ObjectsSettings { url, s3 })
    }

    fn app(&mut self) -> Option<AppSettings> {
        const API_KEYS: &str = "DOMICILE_APP_API_KEYS";
        let section: AppSection = self.section("DOMICILE_APP_");
        let api_keys = self
            .text(API_KEYS, section.api_keys)
            .and_then(|text| self.faults.take(API_KEYS, text.parse::<AppKeys>()));
        let start_url = self.url("DOMICILE_APP_START_URL", section.start_url);
        let return_urls = self
            .list("DOMICILE_APP_RETURN_URLS", section.return_urls)
            .and_then(|entries| {
                let urls: Vec<_> = entries
                    .into_iter()
                    .map(|entry| self.url("DOMICILE_APP_RETURN_URLS", Some(entry)))
                    .collect::<Vec<_>>();
                urls.into_iter().collect::<Option<Vec<_>>>().map(ReturnUrls::new)
            });
        let events = self.events(section.events_url, section.events_secrets);
        let identity = self.identity(section.identity);
        Some(AppSettings {
            api_keys: api_keys?,
            start_url: start_url?,
            return_urls: return_urls?,
            events: events?,
            identity: identity?,
        })
    }

    /// Both or neither; the outer `None` is a fault, the inner that the app pulls.
    #[expect(clippy::option_option, reason = "a fault and an absent option are two things")]
    fn events(&mut self, url: Option<String>, secrets: Option<String>) -> Option<Option<Destination>> {
        const URL: &str = "DOMICILE_APP_EVENTS_URL";
        const SECRETS: &str = "DOMICILE_APP_EVENTS_SECRETS";
        match (self.text(URL, url), self.text(SECRETS, secrets)) {
            (None, None) => Some(None),
            (Some(_), None) => {
                self.faults.add(
                    SECRETS,
                    format!("is not set, but {URL} is: events are never sent unsigned"),
                );
                None
            }
            (None, Some(_)) => {
                self.faults.add(URL, format!("is not set, but {SECRETS} is"));
                None
            }
            (Some(url), Some(secrets)) => {
                let url = self.url(URL, Some(url));
                let secrets: Vec<_> = split(&secrets).map(Secret::from).collect();
                let secrets = self.faults.take(SECRETS, EventSecrets::new(&secrets));
                Some(Some(Destination {
                    url: url?,
                    secrets: secrets?,
                }))
            }
        }
    }

    fn egress_allow(&mut self) -> Option<Vec<HostRule>> {
        const ALLOW: &str = "DOMICILE_EGRESS_ALLOW";
        let section: EgressSection = self.section("DOMICILE_EGRESS_");
        let Some(text) = self.text(ALLOW, section.allow) else {
            return Some(Vec::new());
        };
        split(&text)
            .map(|entry| self.faults.take(ALLOW, HostRule::parse_exact(entry)))
            .collect::<Vec<_>>()
            .into_iter()
            .collect()
    }

    #[expect(clippy::option_option, reason = "a fault and an absent option are two things")]
    fn evidence_key(&mut self) -> Option<Option<EvidenceKey>> {
        const KEY: &str = "DOMICILE_EVIDENCE_KEY";
        let section: EvidenceSection = self.section("DOMICILE_EVIDENCE_");
        match self.text(KEY, section.key).map(Secret::new) {
            None => Some(None),
            Some(seed) => self.faults.take(KEY, EvidenceKey::from_base64(&seed)).map(Some),
        }
    }

    #[expect(clippy::option_option, reason = "a fault and an absent option are two things")]
    fn otlp_endpoint(&mut self) -> Option<Option<Url>> {
        const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let section: OtelSection = self.section("OTEL_EXPORTER_OTLP_");
        let Some(text) = self.text(ENDPOINT, section.endpoint) else {
            return Some(None);
        };
        self.faults
            .take(
                ENDPOINT,
                Url::parse(&text).map_err(|error| format!("is no URL: {error}")),
            )
            .map(Some)
    }
}

impl Reader {
    fn log_filter(&mut self) -> Option<String> {
        const FILTER: &str = "RUST_LOG";
        let value = self.environment.get(FILTER).map(str::to_owned);
        let filter = self.text(FILTER, value)?;
        self.faults
            .take(FILTER, domicile_telemetry::check_log_filter(&filter))?;
        Some(filter)
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}
