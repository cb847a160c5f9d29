use std::fmt;
use std::time::Duration;

use domicile_kernel::Secret;
use oauth2::basic::BasicTokenType;
use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

use super::TokenSet;
use crate::wire::Scalar;

// Zoom: "the access token expires after one hour".
const DOCUMENTED_LIFE: Duration = Duration::from_hours(1);

/// The token answer (RFC 6749 section 5.1), of which Zoom may leave out everything but the access token.
#[derive(Clone)]
pub(super) struct ZoomTokenResponse {
    access_token: AccessToken,
    token_type: BasicTokenType,
    refresh_token: Option<RefreshToken>,
    expires_in: Option<Duration>,
    scopes: Option<Vec<Scope>>,
    api_url: Option<Url>,
}

impl ZoomTokenResponse {
    pub(super) fn into_token_set(self) -> TokenSet {
        TokenSet {
            access_token: Secret::new(self.access_token.into_secret()),
            refresh_token: self.refresh_token.map(|token| Secret::new(token.into_secret())),
            expires_in: self.expires_in.unwrap_or(DOCUMENTED_LIFE),
            scopes: self
                .scopes
                .unwrap_or_default()
                .iter()
                .map(|scope| scope.to_string())
                .collect(),
            api_url: self.api_url,
        }
    }
}

impl<'de> Deserialize<'de> for ZoomTokenResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default)]
            access_token: Scalar,
            #[serde(default)]
            refresh_token: Scalar,
            #[serde(default)]
            expires_in: Scalar,
            #[serde(default)]
            scope: Scalar,
            #[serde(default)]
            api_url: Scalar,
        }

        let wire = Wire::deserialize(deserializer)?;
        Ok(Self {
            access_token: wire
                .access_token
                .text()
                .map(AccessToken::new)
                .ok_or_else(|| de::Error::missing_field("access_token"))?,
            token_type: BasicTokenType::Bearer,
            refresh_token: wire.refresh_token.text().map(RefreshToken::new),
            expires_in: wire.expires_in.unsigned().map(Duration::from_secs),
            scopes: wire.scope.text().map(|text| {
                text.split_ascii_whitespace()
                    .map(|name| Scope::new(name.to_owned()))
                    .collect()
            }),
            api_url: wire.api_url.text().and_then(|text| Url::parse(&text).ok()),
        })
    }
}

/// `oauth2` asks for it but never calls it; a token has no business in any output (INV-3).
impl Serialize for ZoomTokenResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl fmt::Debug for ZoomTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoomTokenResponse").finish_non_exhaustive()
    }
}

impl TokenResponse for ZoomTokenResponse {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        self.scopes.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(answer: serde_json::Value) -> Option<TokenSet> {
        serde_json::from_value::<ZoomTokenResponse>(answer)
            .ok()
            .map(ZoomTokenResponse::into_token_set)
    }

    #[test]
    fn a_full_answer_is_read() {
        let tokens = read(json!({
            "access_token": "A", "token_type": "bearer", "refresh_token": "R", "expires_in": 3599,
            "scope": "user:read:user cloud_recording:read:recording", "api_url": "https://api-eu.zoom.us",
        }))
        .unwrap();
        assert_eq!(tokens.access_token.expose(), "A");
        assert_eq!(tokens.refresh_token.unwrap().expose(), "R");
        assert_eq!(tokens.expires_in, Duration::from_secs(3599));
        assert_eq!(
            tokens.scopes,
            ["user:read:user", "cloud_recording:read:recording"]
        );
        assert_eq!(tokens.api_url.unwrap().as_str(), "https://api-eu.zoom.us/");
    }

    #[test]
    fn only_the_access_token_must_be_there() {
        let tokens = read(json!({"access_token": "A"})).unwrap();
        assert!(tokens.refresh_token.is_none() && tokens.scopes.is_empty() && tokens.api_url.is_none());
        assert_eq!(tokens.expires_in, DOCUMENTED_LIFE);
        let odd =
            read(json!({"access_token": "A", "expires_in": "3599", "scope": null, "api_url": "not a url"}))
                .unwrap();
        assert_eq!(odd.expires_in, Duration::from_secs(3599));
        assert!(odd.api_url.is_none());
        assert!(read(json!({"refresh_token": "R"})).is_none());
        assert!(read(json!({"access_token": ""})).is_none());
    }

    #[test]
    fn no_output_holds_a_token() {
        let answer: ZoomTokenResponse = serde_json::from_value(json!({"access_token": "PLANTED"})).unwrap();
        assert!(!format!("{answer:?}").contains("PLANTED"));
        assert_eq!(serde_json::to_value(&answer).unwrap(), json!(null));
    }
}
