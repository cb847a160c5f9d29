//! The parts of a whole Domicile on this machine, and the order in which they start and stop.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use domicile_localpg::{Cluster, ClusterSettings, Durability, LocalPgError};
use url::Url;

use super::http::Http;
use super::secrets::Secrets;
use super::service::{Plan, Service, folder};
use crate::run::{Failure, Outcome, note, shown};
use crate::tree;

/// The database's name in each region's own cluster.
const DATABASE: &str = "domicile";

/// The home clusters of the simulated Zoom.
const CLUSTERS: [&str; 2] = ["eu", "us"];

/// How a region knows the finisher of a connect session: `DOMICILE_APP_IDENTITY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    Confirm,
    SessionJwt,
}

impl Identity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::SessionJwt => "session-jwt",
        }
    }
}

/// A region to start, everything of it below one folder.
pub(crate) struct Region {
    /// Such as `eu`; also the Zoom cluster whose users may link here.
    pub(crate) id: &'static str,
    /// Such as `European Union`.
    pub(crate) name: &'static str,
    pub(crate) identity: Identity,
    /// The public list of regions, where there are several.
    pub(crate) directory: Option<PathBuf>,
    /// Zoom and browsers.
    pub(crate) public: u16,
    /// The app's backend.
    pub(crate) app: u16,
    /// Probes and metrics.
    pub(crate) ops: u16,
    /// The demo app's own port.
    pub(crate) demo: u16,
    /// Database, secrets, recordings and the app's events.
    pub(crate) folder: PathBuf,
    pub(crate) secrets: Secrets,
}

impl Region {
    pub(crate) fn public_url(&self) -> Url {
        at(self.public, "/")
    }

    pub(crate) fn app_url(&self, path: &str) -> Url {
        at(self.app, path)
    }

    pub(crate) fn demo_url(&self, path: &str) -> Url {
        at(self.demo, path)
    }

    /// The bot's JID at the simulated Zoom.
    pub(crate) fn robot_jid(&self) -> String {
        format!("v1{}minutebook@xmpp.zoom.us", self.id)
    }

    /// The bot's slash command, without the slash; at Zoom no two bots have the same.
    pub(crate) fn slash_command(&self) -> String {
        format!("minutebook-{}", self.id)
    }

    /// Where the fetched recordings lie.
    pub(crate) fn storage(&self) -> PathBuf {
        self.folder.join("objects")
    }

    fn environment(&self, database_url: String, zoom: &Url) -> Outcome<Vec<(&'static str, String)>> {
        let listen = |port: u16| format!("127.0.0.1:{port}");
        let storage = folder(self.storage())?;
        let storage = Url::from_directory_path(&storage)
            .map_err(|()| Failure(format!("{} is no absolute path", storage.display())))?;
        let mut environment = vec![
            ("DOMICILE_REGION_ID", self.id.to_owned()),
            ("DOMICILE_REGION_NAME", self.name.to_owned()),
            ("DOMICILE_REGION_ZOOM_CLUSTERS", self.id.to_owned()),
            ("DOMICILE_REGION_UNKNOWN_CLUSTER", "refuse".to_owned()),
            ("DOMICILE_REGION_ADMISSION", "open".to_owned()),
            ("DOMICILE_HTTP_PUBLIC_URL", origin(&self.public_url())),
            ("DOMICILE_HTTP_PUBLIC_LISTEN", listen(self.public)),
            ("DOMICILE_HTTP_APP_LISTEN", listen(self.app)),
            ("DOMICILE_HTTP_OPS_LISTEN", listen(self.ops)),
            ("DOMICILE_DATABASE_URL", database_url),
            ("DOMICILE_ZOOM_CLIENT_ID", self.secrets.zoom_client_id.clone()),
            (
                "DOMICILE_ZOOM_CLIENT_SECRET",
                self.secrets.zoom_client_secret.clone(),
            ),
            (
                "DOMICILE_ZOOM_WEBHOOK_SECRETS",
                self.secrets.zoom_webhook_secret.clone(),
            ),
            ("DOMICILE_ZOOM_OAUTH_URL", origin(zoom)),
            ("DOMICILE_ZOOM_API_URL", origin(zoom)),
            ("DOMICILE_ZOOM_HOSTS", zoom_hosts()),
            ("DOMICILE_BOT_ROBOT_JID", self.robot_jid()),
            ("DOMICILE_BOT_CLIENT_ID", self.secrets.bot_client_id()),
            ("DOMICILE_BOT_CLIENT_SECRET", self.secrets.bot_client_secret()),
            ("DOMICILE_BOT_WEBHOOK_SECRETS", self.secrets.bot_webhook_secret()),
            ("DOMICILE_VAULT_KEYS", self.secrets.vault_keys.clone()),
            (
                "DOMICILE_OBJECTS_URL",
                storage.as_str().trim_end_matches('/').to_owned(),
            ),
            ("DOMICILE_APP_API_KEYS", self.secrets.app_api_keys()),
            ("DOMICILE_APP_START_URL", self.demo_url("/settings").into()),
            ("DOMICILE_APP_RETURN_URLS", self.demo_url("/").into()),
            (
                "DOMICILE_APP_EVENTS_URL",
                self.demo_url("/domicile/events").into(),
            ),
            ("DOMICILE_APP_EVENTS_SECRETS", self.secrets.events_secret.clone()),
            ("DOMICILE_APP_IDENTITY", self.identity.as_str().to_owned()),
        ];
        if let Some(directory) = &self.directory {
            environment.push(("DOMICILE_REGION_DIRECTORY_FILE", directory.display().to_string()));
        }
        if self.identity == Identity::SessionJwt {
            environment.extend([
                ("DOMICILE_APP_JWT_ISSUER", origin(&self.demo_url("/"))),
                ("DOMICILE_APP_JWT_AUDIENCE", origin(&self.public_url())),
                (
                    "DOMICILE_APP_JWT_JWKS_URL",
                    self.demo_url("/.well-known/jwks.json").into(),
                ),
                ("DOMICILE_APP_JWT_ALGORITHMS", "ES256".to_owned()),
                // Cookies know no ports, so the demo app's reach the region too.
                ("DOMICILE_APP_JWT_COOKIE", format!("demo_session_{}", self.demo)),
            ]);
        }
        Ok(environment)
    }

    fn demo_environment(&self, zoom: &Url) -> Vec<(&'static str, String)> {
        let events = self.folder.join("events.jsonl");
        let mut environment = vec![
            ("DEMO_APP_LISTEN", format!("127.0.0.1:{}", self.demo)),
            ("DEMO_APP_REGION_NAME", self.name.to_owned()),
            ("DEMO_APP_API_URL", self.app_url("/").into()),
            ("DEMO_APP_API_KEY", self.secrets.app_api_key.clone()),
            ("DEMO_APP_EVENTS_SECRETS", self.secrets.events_secret.clone()),
            ("DEMO_APP_EVENTS_FILE", events.display().to_string()),
            (
                "DEMO_APP_CONNECT_ORIGINS",
                format!("{},{}", origin(&self.public_url()), origin(zoom)),
            ),
        ];
        if self.identity == Identity::SessionJwt {
            environment.push(("DEMO_APP_SESSION_JWT_AUDIENCE", origin(&self.public_url())));
        }
        environment
    }
}

/// The simulated Zoom to start.
pub(crate) struct ZoomPlan {
    pub(crate) port: u16,
    pub(crate) media_port: u16,
    /// Keeps its users, apps and meetings; none in a throw-away run.
    pub(crate) state_file: Option<PathBuf>,
}

/// Where things lie.
pub(crate) struct Places {
    /// The built programs: where this one lies.
    programs: PathBuf,
    /// The logs of all that is started.
    pub(crate) logs: PathBuf,
}

impl Places {
    pub(crate) fn new(logs: PathBuf) -> Outcome<Self> {
        let me = std::env::current_exe()?;
        let programs = me.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self {
            programs,
            logs: folder(logs)?,
        })
    }
}

/// All that was started here.
pub(crate) struct Stack {
    places: Places,
    pub(crate) http: Http,
    /// In the order of their start.
    services: Vec<Service>,
    clusters: Vec<(&'static str, Cluster)>,
}

/// Builds what will be started.
pub(crate) fn build() -> Outcome {
    let packages = [
        "-p",
        "domicile",
        "-p",
        "domicile-zoomsim",
        "-p",
        "domicile-testkit",
    ];
    shown(tree::cargo().args(["build", "--locked", "--bins"]).args(packages))
}

impl Stack {
    pub(crate) fn new(places: Places) -> Self {
        Self {
            places,
            http: Http::new(),
            services: Vec::new(),
            clusters: Vec::new(),
        }
    }

    /// Starts the simulated Zoom and gives its base URL.
    pub(crate) async fn start_zoom(&mut self, plan: &ZoomPlan) -> Outcome<Url> {
        let mut args = vec![
            format!("--port={}", plan.port),
            format!("--media-port={}", plan.media_port),
        ];
        args.extend(
            plan.state_file
                .iter()
                .map(|file| format!("--state-file={}", file.display())),
        );
        let service = self.plan("zoomsim", "zoomsim", args, Vec::new()).start()?;
        self.ready(service, &at(plan.port, "/control/clock")).await?;
        Ok(at(plan.port, "/"))
    }

    /// Starts a region's own PostgreSQL cluster and gives the URL of its database. A throw-away one dies with its data.
    pub(crate) async fn start_database(&mut self, region: &Region, throw_away: bool) -> Outcome<String> {
        let data = region.folder.join("postgres");
        // Starting waits for a process, and stopping does too.
        let start = move || {
            let cluster = if throw_away {
                Cluster::scratch(tree::tools(), note)?
            } else {
                let settings = ClusterSettings::new(data, tree::tools());
                Cluster::start(&settings.durability(Durability::Real).note(note))?
            };
            cluster.create_database(DATABASE)?;
            Ok::<_, LocalPgError>(cluster)
        };
        let cluster = tokio::task::spawn_blocking(start).await??;
        let url = cluster.url(DATABASE);
        self.clusters.push((region.id, cluster));
        Ok(url)
    }

    /// Starts a region's demo app.
    pub(crate) async fn start_demo_app(&mut self, region: &Region, zoom: &Url) -> Outcome {
        let name = format!("demo-app {}", region.id);
        let service = self
            .plan(&name, "demo-app", Vec::new(), region.demo_environment(zoom))
            .start()?;
        self.ready(service, &region.demo_url("/healthz")).await
    }

    /// Migrates a region's database and starts the region.
    pub(crate) async fn start_region(
        &mut self,
        region: &Region,
        database_url: String,
        zoom: &Url,
    ) -> Outcome {
        let environment = region.environment(database_url, zoom)?;
        let command = |word: &str| vec![word.to_owned()];
        let name = format!("migrate {}", region.id);
        self.plan(&name, "domicile", command("migrate"), environment.clone())
            .finish()
            .await?;
        let name = format!("domicile {}", region.id);
        let service = self
            .plan(&name, "domicile", command("run"), environment)
            .start()?;
        self.ready(service, &at(region.ops, "/readyz")).await
    }

    /// The programs that have ended by themselves since the last look, with how.
    pub(crate) fn take_ended(&mut self) -> Outcome<Vec<(Service, ExitStatus)>> {
        let mut ended = Vec::new();
        let mut index = 0;
        while let Some(service) = self.services.get_mut(index) {
            match service.ended()? {
                Some(status) => ended.push((self.services.remove(index), status)),
                None => index += 1,
            }
        }
        Ok(ended)
    }

    /// The process ids of the programs that were started here, databases aside.
    pub(crate) fn process_ids(&self) -> Vec<(String, u32)> {
        let named = |service: &Service| Some((service.name.clone(), service.process_id()?));
        self.services.iter().filter_map(named).collect()
    }

    /// Stops a region's own process, and nothing else; the database is there to be looked at.
    pub(crate) async fn stop_region(&mut self, region: &Region) -> Outcome {
        let name = format!("domicile {}", region.id);
        let index = self.services.iter().position(|service| service.name == name);
        let index = index.ok_or_else(|| Failure(format!("{name} does not run")))?;
        if self.services.remove(index).stop().await? {
            return Ok(());
        }
        Err(Failure(format!("{name} did not stop and was killed")))
    }

    /// True when no program is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// The folder of the logs.
    pub(crate) fn logs(&self) -> &Path {
        &self.places.logs
    }

    /// The ends of all logs, for a failure whose cause may be anywhere.
    pub(crate) fn tails(&self) -> String {
        let tails: Vec<String> = self.services.iter().map(Service::tail).collect();
        tails.join("\n\n")
    }

    /// Stops everything: the last started first, the databases after those who use them.
    pub(crate) async fn stop(mut self, mut tell: impl FnMut(&str)) -> Outcome {
        let mut faults = Vec::new();
        while let Some(service) = self.services.pop() {
            let name = service.name.clone();
            match service.stop().await {
                Ok(true) => tell(&format!("{name} stopped")),
                Ok(false) => faults.push(format!("{name} did not stop and was killed")),
                Err(failure) => faults.push(format!("{name}: {failure}")),
            }
        }
        for (region, cluster) in self.clusters.drain(..) {
            match tokio::task::spawn_blocking(|| cluster.stop()).await? {
                Ok(()) => tell(&format!("database {region} stopped")),
                Err(error) => faults.push(format!("database {region}: {}", Failure::from(error))),
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Failure(faults.join("\n")))
        }
    }

    fn plan(&self, name: &str, program: &str, args: Vec<String>, env: Vec<(&'static str, String)>) -> Plan {
        Plan {
            name: name.to_owned(),
            program: self.places.programs.join(program),
            args,
            env,
            logs: self.places.logs.clone(),
        }
    }

    /// Keeps the service, also where it does not get ready: it is stopped with the others.
    async fn ready(&mut self, mut service: Service, url: &Url) -> Outcome {
        let ready = service.ready(&self.http, url).await;
        self.services.push(service);
        ready
    }
}

/// The API's host of a Zoom cluster; names below `localhost` lead to this machine (RFC 6761, section 6.3).
pub(crate) fn zoom_api_host(cluster: &str) -> String {
    format!("api-{cluster}.localhost")
}

/// `DOMICILE_ZOOM_HOSTS`: as `zoom.us` does, it covers every cluster, so that a user of another one is known as such.
fn zoom_hosts() -> String {
    let clusters = CLUSTERS.map(zoom_api_host);
    format!("127.0.0.1,{}", clusters.join(","))
}

/// A URL of this machine.
pub(crate) fn at(port: u16, path: &str) -> Url {
    let mut url = LOOPBACK.clone();
    // Both always fit a URL with a host.
    let _ = url.set_port(Some(port));
    url.set_path(path);
    url
}

static LOOPBACK: std::sync::LazyLock<Url> = std::sync::LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the text is fixed")]
    Url::parse("http://127.0.0.1/").expect("a URL")
});

/// Scheme, host and port, with no slash at the end.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}
