//! `chart`: how the Helm chart of `helm/domicile` runs the region in its cluster. All of it has a default.

mod objects;
mod pods;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretRef;
pub use objects::{
    AppIngress, Backup, ExternalSecrets, Gateway, GatewayParent, Ingress, Migration, Monitoring,
    NetworkPolicy, Postgres,
};
pub use pods::{
    Autoscaling, DatabaseQuantities, DatabaseResources, Quantities, Resources, Role, Spread, Toleration,
};

/// How the region runs in its cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Chart {
    /// Whether answering and background work are processes of their own (split), or each process does both (single).
    pub mode: Mode,
    /// The processes that answer Zoom, browsers and the app; in the mode single those that do everything.
    pub serve: Role,
    /// The processes that do the background work; unused in the mode single.
    pub work: Role,
    /// How strictly the pods are spread over zones and nodes.
    pub spread: Spread,
    /// Labels of the nodes that may run the pods.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods bear.
    pub tolerations: Vec<Toleration>,
    /// The pods' priority class; without it the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class: Option<String>,
    /// Names of the Secrets with which the image is pulled.
    pub image_pull_secrets: Vec<String>,
    /// Annotations of every pod.
    pub pod_annotations: BTreeMap<String, String>,
    /// Where the certificate of the authority is that signed the database server's certificate; it is mounted as
    /// `/etc/domicile/database/ca.crt`. With `postgres` enabled it is the cluster's own, and nothing stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_ca: Option<SecretRef>,
    /// The job that brings the database to the release's schema.
    pub migration: Migration,
    /// How the public listener is reached through an Ingress, and the app listener where it is wanted.
    pub ingress: Ingress,
    /// How the public listener is reached through the Gateway API.
    pub gateway: Gateway,
    /// Which connections the pods may have.
    pub network_policy: NetworkPolicy,
    /// Objects of the Prometheus operator, and Grafana's dashboards.
    pub monitoring: Monitoring,
    /// Secrets by the External Secrets operator.
    pub external_secrets: ExternalSecrets,
    /// PostgreSQL by the `CloudNativePG` operator.
    pub postgres: Postgres,
}

/// Which processes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// `serve` and `work`.
    #[default]
    Split,
    /// `run`.
    Single,
}
