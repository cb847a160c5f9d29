//! One region's file: the values of its Helm release, and the one source of everything else that differs between regions.
//!
//! The types say what a file may hold and nothing more; whether it is right, and apart from the other regions, is for
//! [`check`](crate::check).

mod app;
pub mod chart;
mod resources;
#[cfg(test)]
mod tests;
mod zoom;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use app::{App, Identity, IdentityMode, SessionJwt};
pub use chart::Chart;
pub use resources::{
    AccessKey, Credentials, Database, Egress, Encryption, Objects, SecretRef, Telemetry, Vault, VaultKey,
    WebIdentity,
};
pub use zoom::{
    AppUsage, Apps, Chat, CommandHint, Development, EventReceiver, EventSubscription, Listing,
    MarketplaceApp, Product, Scope, SlashCommand, Welcome, Zoom,
};

/// `regions/<id>.yaml`. It names secrets and never holds one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegionFile {
    /// Which region this is, and whose users belong to it.
    pub region: Region,
    /// How the region is reached.
    pub http: Http,
    /// The region's apps at Zoom's Marketplace, and Zoom's addresses.
    pub zoom: Zoom,
    /// The application that the region serves.
    pub app: App,
    /// The region's PostgreSQL.
    pub database: Database,
    /// The region's object storage.
    pub objects: Objects,
    /// The region's key-encryption keys.
    pub vault: Vault,
    /// Where the region's own telemetry goes.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// What the process may call besides.
    #[serde(default)]
    pub egress: Egress,
    /// What is asked of everything that Zoom sends.
    #[serde(default)]
    pub intake: Intake,
    /// Where and in which order the region is deployed.
    pub deployment: Deployment,
    /// How the Helm chart runs the region in its cluster.
    #[serde(default)]
    pub chart: Chart,
    /// Rules that this region breaks on purpose. Only rules of sameness and of jurisdiction may be excepted, never those of
    /// separation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
}

impl RegionFile {
    /// The public URL without a slash at its end, so that a route can follow.
    pub fn base_url(&self) -> &str {
        self.http.public_url.trim_end_matches('/')
    }

    /// Every reference to a secret, with its path.
    pub fn secrets(&self) -> Vec<(String, &SecretRef)> {
        let mut secrets = Vec::new();
        for (name, app) in self.zoom.apps.named() {
            let path = format!("zoom.apps.{name}");
            secrets.push((format!("{path}.clientSecret"), Some(&app.client_secret)));
            secrets.push((format!("{path}.webhookSecrets"), Some(&app.webhook_secrets)));
            secrets.push((
                format!("{path}.webhookAuthorization"),
                app.webhook_authorization.as_ref(),
            ));
            secrets.push((format!("{path}.webhookHeader"), app.webhook_header.as_ref()));
        }
        secrets.push(("app.apiKeys".to_owned(), Some(&self.app.api_keys)));
        secrets.push(("app.eventsSecrets".to_owned(), self.app.events_secrets.as_ref()));
        secrets.push(("database.urlSecret".to_owned(), Some(&self.database.url_secret)));
        let access_key = self
            .objects
            .credentials
            .as_ref()
            .and_then(|credentials| credentials.access_key.as_ref());
        if let Some(key) = access_key {
            let path = "objects.credentials.accessKey";
            secrets.push((format!("{path}.id"), Some(&key.id)));
            secrets.push((format!("{path}.secret"), Some(&key.secret)));
            secrets.push((format!("{path}.sessionToken"), key.session_token.as_ref()));
        }
        secrets.push(("vault.keysSecret".to_owned(), self.vault.keys_secret.as_ref()));
        secrets.push(("vault.evidenceKey".to_owned(), self.vault.evidence_key.as_ref()));
        secrets.push(("chart.databaseCa".to_owned(), self.chart.database_ca.as_ref()));
        secrets
            .into_iter()
            .filter_map(|(path, secret)| secret.map(|secret| (path, secret)))
            .collect()
    }
}

/// `region`: who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Region {
    /// The region's id, as in its file's name: 1 to 32 characters of a-z, 0-9 and `-`.
    #[schemars(regex(pattern = r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$"))]
    pub id: String,
    /// Its name for people, such as European Union.
    pub name: String,
    /// Under whose law all that the region keeps must lie: `eu`, or the two letters of a country, such as `us` or `uk`.
    #[schemars(regex(pattern = r"^[a-z]{2}$"))]
    pub jurisdiction: String,
    /// Zoom's home clusters whose users may link here: the letters of their API hosts, such as eu.
    #[schemars(length(min = 1))]
    pub zoom_clusters: Vec<String>,
    /// What to do with users whose home cluster Zoom does not name.
    pub unknown_cluster: UnknownCluster,
    /// Which Zoom accounts may link here.
    pub admission: Admission,
    /// Where the processes find this file.
    #[serde(default = "region_file")]
    pub file: String,
    /// Where the processes find the public list of all regions.
    #[serde(default = "directory_file")]
    pub directory_file: String,
}

fn region_file() -> String {
    "/etc/domicile/region.yaml".to_owned()
}

fn directory_file() -> String {
    "/etc/domicile/directory.yaml".to_owned()
}

/// Users whose home cluster Zoom does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UnknownCluster {
    /// They may link.
    Allow,
    /// They may not.
    Refuse,
}

/// Which Zoom accounts may link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Admission {
    /// Every one.
    Open,
    /// Only those that were admitted.
    Accounts,
}

/// `http`: how the region is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Http {
    /// How browsers and Zoom reach it: `https://`, the region's host, and nothing after it.
    pub public_url: String,
    /// The listener for Zoom and browsers.
    #[serde(default = "public_listen")]
    pub public_listen: String,
    /// The listener for the app's backend.
    #[serde(default = "app_listen")]
    pub app_listen: String,
    /// The listener for probes and metrics.
    #[serde(default = "ops_listen")]
    pub ops_listen: String,
}

fn public_listen() -> String {
    "0.0.0.0:8080".to_owned()
}

fn app_listen() -> String {
    "0.0.0.0:8081".to_owned()
}

fn ops_listen() -> String {
    "0.0.0.0:9090".to_owned()
}

/// `intake`: what is asked of everything that Zoom sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Intake {
    /// How old a signature of Zoom's may be.
    #[schemars(range(min = 1, max = 86_400))]
    pub max_age_seconds: u64,
    /// How far Zoom's clock may be ahead of ours.
    #[schemars(range(max = 3_600))]
    pub max_ahead_seconds: u64,
    /// The largest body that is taken from Zoom.
    #[schemars(range(min = 1, max = 10_485_760))]
    pub body_limit_bytes: u64,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            max_age_seconds: 5_700,
            max_ahead_seconds: 300,
            body_limit_bytes: 1_048_576,
        }
    }
}

/// `deployment`: where the region runs, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deployment {
    /// The region's own namespace in Kubernetes.
    pub namespace: String,
    /// The kubeconfig context of the region's own cluster.
    pub cluster_context: String,
    /// Where the region's cluster pulls the image from: a registry of the region's own, without tag or digest.
    pub image_repository: String,
    /// The image: one and the same for all regions.
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub image_digest: String,
    /// The region's place in the order in which a release reaches the regions, from 1.
    #[schemars(range(min = 1))]
    pub release_order: u32,
    /// How long a release runs here before it reaches the next region, in minutes.
    #[serde(default = "soak_minutes")]
    #[schemars(range(max = 20_160))]
    pub soak_minutes: u32,
}

fn soak_minutes() -> u32 {
    60
}

/// A rule that a file breaks on purpose. One that excepts nothing is itself a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exception {
    /// The rule's id, as `domicile region check` prints it.
    pub rule: String,
    /// The path of the finding, where only that one is excepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why, for whoever reads the file next.
    pub reason: String,
}
