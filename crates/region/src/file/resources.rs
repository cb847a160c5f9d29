//! What the region keeps its data in, and what it may call besides Zoom and the app.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a secret is: the name of a Kubernetes Secret (or of a credentials folder on a plain host), and a key in it. A value
/// that rotates (a comma list) is one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// The Secret's name, in which no other region has one.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// `database`: the region's PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Database {
    /// Its host.
    pub host: String,
    /// Its port.
    #[serde(default = "port")]
    pub port: u16,
    /// The database's name.
    pub name: String,
    /// The whole URL, password included: `postgres://user:password@host:port/name?sslmode=verify-full`. It must name the host,
    /// port and database above.
    pub url_secret: SecretRef,
}

fn port() -> u16 {
    5432
}

/// `objects`: the region's object storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objects {
    /// `s3://bucket/prefix`, or `file:///path` on a plain host.
    pub url: String,
    /// The storage service's own name of the place, such as eu-central-1; required for `s3://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The server, where it is not Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Whether the bucket is the host's first label; default: yes for Amazon, no for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_hosted_style: Option<bool>,
    /// What requests to S3 (and to AWS KMS) are signed with; required for `s3://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// Encryption by the service, beside the region's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

/// What requests to S3 are signed with: one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    /// A role that the pod's own identity takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_identity: Option<WebIdentity>,
    /// An access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<AccessKey>,
}

/// A role that the pod's own identity takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebIdentity {
    /// The role.
    pub role_arn: String,
    /// Where the identity's token is.
    #[serde(default = "token_file")]
    pub token_file: String,
    /// What the service's log calls the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
    /// The token service, where it is not the one of the storage's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

fn token_file() -> String {
    "/var/run/secrets/eks.amazonaws.com/serviceaccount/token".to_owned()
}

/// An access key, each part in a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessKey {
    /// Its id.
    pub id: SecretRef,
    /// Its secret.
    pub secret: SecretRef,
    /// The token that belongs to a temporary one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<SecretRef>,
}

/// Encryption by the storage service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Encryption {
    /// As S3 calls it, such as `aws:kms`.
    pub algorithm: String,
    /// The key at AWS KMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Whether the bucket has a key of its own, which saves calls to KMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_key: Option<bool>,
}

/// `vault`: the region's key-encryption keys. The first seals, all open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vault {
    /// The keys, in order.
    #[schemars(length(min = 1))]
    pub keys: Vec<VaultKey>,
    /// The whole value of `DOMICILE_VAULT_KEYS`; needed as soon as one of the keys is local, and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_secret: Option<SecretRef>,
    /// The key service, where it is not the one that the key's ARN names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The seed of the key that signs the evidence of residency; without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_key: Option<SecretRef>,
}

/// One key-encryption key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultKey {
    /// Its id, which no other region has.
    pub id: String,
    /// The key's ARN at AWS KMS; without it the key is local, and its bytes are in the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_kms: Option<String>,
}

/// `telemetry`: where the region's own telemetry goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Telemetry {
    /// The region's own collector, OTLP over HTTP; without it no export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// What is logged.
    pub log_filter: String,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            log_filter: "info".to_owned(),
        }
    }
}

/// `egress`: what the process may call besides what the other sections name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Egress {
    /// Further hosts.
    pub allow: Vec<String>,
}
