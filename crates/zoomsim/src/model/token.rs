//! Codes, tokens and the grants behind them.

use domicile_kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::app::Usage;

/// How the code challenge was made (RFC 7636, section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ChallengeMethod {
    S256,
    Plain,
}

/// What the client must prove when it redeems the code (RFC 7636).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CodeChallenge {
    pub value: String,
    pub method: ChallengeMethod,
}

/// An authorization code: five minutes, once.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Code {
    pub client_id: String,
    pub user_id: String,
    pub redirect_uri: String,
    /// Optional scopes that the user left out.
    #[serde(default)]
    pub declined_scopes: Vec<String>,
    pub challenge: Option<CodeChallenge>,
    pub expires_at: Timestamp,
}

/// Why a token stopped working before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// A refresh gave a newer one.
    Rotated,
    /// The same user authorised the app again, uninstalled it, or the token was revoked (code 4741).
    Revoked,
}

/// An access token.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AccessToken {
    pub client_id: String,
    pub account_id: Option<String>,
    /// Absent for client credentials.
    pub user_id: Option<String>,
    pub usage: Usage,
    pub scopes: Vec<String>,
    pub expires_at: Timestamp,
    pub ended: Option<Ended>,
}

/// A refresh token: 90 days, once.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RefreshToken {
    pub client_id: String,
    pub user_id: String,
    pub scopes: Vec<String>,
    pub expires_at: Timestamp,
    pub ended: Option<Ended>,
}

/// An install: this user authorised this app.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// The app.
    pub client_id: String,
    /// Who authorised it.
    pub user_id: String,
    /// Her account.
    pub account_id: String,
    /// What was granted.
    pub scopes: Vec<String>,
    /// When, the last time.
    pub authorized_at: Timestamp,
}

/// Claims of access and refresh tokens (platform: what is inside the access token).
#[derive(Serialize, Deserialize)]
pub(crate) struct TokenClaims {
    pub ver: u8,
    pub auid: String,
    pub code: String,
    pub iss: String,
    pub gno: u8,
    #[serde(rename = "type")]
    pub kind: u8,
    pub tid: u8,
    pub aud: String,
    pub uid: String,
    pub nbf: i64,
    pub exp: i64,
    pub iat: i64,
    pub aid: String,
}

/// Claims of a `download_token` or `download_access_token` (platform: `download_token`).
#[derive(Serialize, Deserialize)]
pub(crate) struct DownloadClaims {
    pub iss: String,
    #[serde(rename = "accountId")]
    pub account_id: String,
    pub aud: String,
    pub mid: String,
    pub exp: i64,
    pub iat: i64,
    #[serde(rename = "userId")]
    pub user_id: String,
}
