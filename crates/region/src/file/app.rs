//! `app`: the application that the region serves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretRef;

/// The application's addresses and how it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    /// The app's page where a signed-in user of this region begins.
    pub start_url: String,
    /// URL prefixes to which a connect session may return.
    #[schemars(length(min = 1))]
    pub return_urls: Vec<String>,
    /// The digests of the app's API keys: a comma list of `name:sha256-hex`.
    pub api_keys: SecretRef,
    /// Where events are delivered; without it the app pulls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_url: Option<String>,
    /// The `whsec_...` secrets that sign events; needed with the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_secrets: Option<SecretRef>,
    /// How the finisher of a connect session is known.
    pub identity: Identity,
}

/// How the finisher of a connect session is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// In which of two ways.
    pub mode: IdentityMode,
    /// The app's session tokens; with the mode session-jwt and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<SessionJwt>,
}

/// The ways to know the finisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityMode {
    /// The app's backend confirms.
    Confirm,
    /// The app's session token in that browser names the subject.
    SessionJwt,
}

/// The app's session tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionJwt {
    /// Their `iss`.
    pub issuer: String,
    /// What their `aud` holds.
    pub audience: String,
    /// Where the app publishes its keys.
    pub jwks_url: String,
    /// Such as ES256.
    #[schemars(length(min = 1))]
    pub algorithms: Vec<String>,
    /// The cookie that holds the token; this or the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// The header field that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The claim V that stands for the subject `user:V`.
    #[serde(default = "sub")]
    pub user_claim: String,
    /// The claim V that stands for the subject `org:V`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_claim: Option<String>,
    /// How far the app's clock may be from ours.
    #[serde(default = "leeway_seconds")]
    #[schemars(range(max = 120))]
    pub leeway_seconds: u32,
}

fn sub() -> String {
    "sub".to_owned()
}

fn leeway_seconds() -> u32 {
    30
}
