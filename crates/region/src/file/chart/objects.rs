//! Objects besides the pods. What is not enabled is not there.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DatabaseResources;

/// The job that brings the database to the release's schema, before anything of the release changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Migration {
    /// How long it may take with all its tries, in seconds; helm's own `--timeout` must be longer.
    #[schemars(range(min = 30, max = 86_400))]
    pub deadline_seconds: u32,
    /// How often it is tried again.
    #[schemars(range(max = 10))]
    pub retries: u32,
}

impl Default for Migration {
    fn default() -> Self {
        Self {
            deadline_seconds: 900,
            retries: 4,
        }
    }
}

/// An Ingress for the public host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ingress {
    /// Whether there is one.
    pub enabled: bool,
    /// The class of the controller; without it the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// What the controller reads besides, such as an issuer of certificates.
    pub annotations: BTreeMap<String, String>,
    /// The Secret with the certificate of the public host; without it the controller has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_secret: Option<String>,
    /// A second one for the app listener, under a host inside of the region's network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<AppIngress>,
}

/// An Ingress for the app listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppIngress {
    /// Its host, which is not the public one.
    pub host: String,
    /// The class of the internal controller, which is not the public one's.
    pub class_name: String,
    /// What the controller reads besides.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The Secret with the certificate of the host.
    pub tls_secret: String,
}

/// An `HTTPRoute` for the public host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Gateway {
    /// Whether there is one.
    pub enabled: bool,
    /// The gateways to which it belongs; at least one where it is enabled.
    pub parents: Vec<GatewayParent>,
}

/// A gateway, and which of its listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayParent {
    /// The gateway's name.
    pub name: String,
    /// Its namespace, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its listener; without it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

/// Which connections the pods may have. What they may call follows from the rest of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetworkPolicy {
    /// Whether there is one.
    pub enabled: bool,
    /// Whether names are enforced too, by a `CiliumNetworkPolicy` in the place of the plain one. Only where Cilium is the
    /// cluster's network.
    pub cilium: bool,
    /// Namespaces whose pods may reach the public listener, such as the ingress controller's; empty for everybody.
    pub public_from: Vec<String>,
    /// Namespaces whose pods may reach the app listener, such as the app's; empty for none but the region's own.
    pub app_from: Vec<String>,
    /// Namespaces whose pods may reach the ops listener, such as Prometheus'; empty for none but the region's own.
    pub ops_from: Vec<String>,
    /// Private networks in which hosts of the egress list lie, such as that of a managed database or of endpoints of the
    /// cloud. Without them only public addresses can be called.
    pub private_cidrs: Vec<String>,
}

impl Default for NetworkPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            cilium: false,
            public_from: Vec::new(),
            app_from: Vec::new(),
            ops_from: Vec::new(),
            private_cidrs: Vec::new(),
        }
    }
}

/// Objects of the Prometheus operator, and Grafana's dashboards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Monitoring {
    /// Whether there is a `ServiceMonitor`.
    pub service_monitor: bool,
    /// How often Prometheus scrapes.
    pub interval: String,
    /// Whether there is a `PrometheusRule` for each file of alerts and recording rules.
    pub rules: bool,
    /// Labels by which the operator finds both.
    pub labels: BTreeMap<String, String>,
    /// Whether there is a `ConfigMap` for each dashboard.
    pub dashboards: bool,
    /// Labels by which Grafana finds them.
    pub dashboard_labels: BTreeMap<String, String>,
}

impl Default for Monitoring {
    fn default() -> Self {
        Self {
            service_monitor: false,
            interval: "30s".to_owned(),
            rules: false,
            labels: BTreeMap::new(),
            dashboards: false,
            dashboard_labels: [("grafana_dashboard".to_owned(), "1".to_owned())].into(),
        }
    }
}

/// One `ExternalSecret` for each Secret that the file names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ExternalSecrets {
    /// Whether there are any.
    pub enabled: bool,
    /// The `SecretStore` of the region's own namespace; needed where it is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// What stands before a Secret's name in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How often the store is asked.
    pub refresh_interval: String,
}

impl Default for ExternalSecrets {
    fn default() -> Self {
        Self {
            enabled: false,
            store: None,
            prefix: None,
            refresh_interval: "1h".to_owned(),
        }
    }
}

/// A `Cluster` of `CloudNativePG`, which the database's host and name describe: `<cluster>-rw.<namespace>.svc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Postgres {
    /// Whether there is one.
    pub enabled: bool,
    /// The servers: one that is written to, and those that follow.
    #[schemars(range(min = 1, max = 9))]
    pub instances: u32,
    /// The image with its digest, from the region's own registry; without it the operator's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The size of each server's volume.
    pub storage_size: String,
    /// The size of a second volume for each server's write-ahead log; without it the log lies beside the data, and a commit waits
    /// while the kernel writes those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_storage_size: Option<String>,
    /// The volumes' class; without it the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// What each server asks of its node, and what it may use at most.
    pub resources: DatabaseResources,
    /// Backups in the region's bucket.
    pub backup: Backup,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            enabled: false,
            instances: 3,
            image: None,
            storage_size: "50Gi".to_owned(),
            wal_storage_size: None,
            storage_class: None,
            resources: DatabaseResources::default(),
            backup: Backup::default(),
        }
    }
}

/// Backups and the log of changes in the region's bucket, by the Barman Cloud plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Backup {
    /// Whether there are any.
    pub enabled: bool,
    /// Below which prefix of the bucket; not that of the recordings, nor above or below it.
    pub prefix: String,
    /// When a whole backup is made: seconds, minutes, hours, day of month, month, day of week.
    pub schedule: String,
    /// How long backups are kept.
    #[schemars(regex(pattern = r"^[1-9][0-9]*[dwm]$"))]
    pub retention: String,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            enabled: false,
            prefix: "postgres".to_owned(),
            schedule: "0 30 2 * * *".to_owned(),
            retention: "30d".to_owned(),
        }
    }
}
