//! Client authentication by HTTP Basic (RFC 7617), and the bodies of token errors (platform: errors).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::app::App;
use crate::signing;
use crate::sim::Sim;

/// An error of the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenError {
    pub error: &'static str,
    pub reason: &'static str,
}

impl TokenError {
    pub(crate) const INVALID_CLIENT: Self = Self::new("invalid_client", "Invalid client_id or client_secret");
    pub(crate) const DEAD_TOKEN: Self = Self::new("invalid_grant", "Invalid Token!");
    pub(crate) const REVOKED: Self = Self::new("invalid_grant", "The token has been revoked. (4741)");
    pub(crate) const NO_USER: Self = Self::new("invalid_grant", "User does not exist. (4735)");
    pub(crate) const BAD_CODE: Self = Self::new("invalid_grant", "Invalid authorization code. (4734)");
    pub(crate) const OLD_CODE: Self = Self::new("invalid_grant", "Authorization code expired. (4733)");
    pub(crate) const REDIRECT: Self = Self::new("invalid_grant", "Redirect URI mismatch. (4709)");
    pub(crate) const VERIFIER: Self = Self::new("invalid_grant", "Invalid code verifier");
    pub(crate) const GRANT_TYPE: Self = Self::new("unsupported_grant_type", "unsupported grant type");
    pub(crate) const NO_GRANT_TYPE: Self = Self::new("invalid_request", "Missing grant type");
    pub(crate) const TOKEN_IN_QUERY: Self = Self::new(
        "invalid_request",
        "Tokens are not supported as query parameter string.",
    );

    const fn new(error: &'static str, reason: &'static str) -> Self {
        Self { error, reason }
    }

    /// HTTP 400 with `reason` and `error`.
    pub(crate) fn response(self) -> HttpResponse {
        HttpResponse::build(StatusCode::BAD_REQUEST)
            .json(serde_json::json!({ "reason": self.reason, "error": self.error }))
    }
}

impl Sim {
    /// The app whose id and secret stand in the Authorization header.
    pub(crate) fn authenticate_client(&self, headers: &HeaderMap) -> Result<App, TokenError> {
        basic(headers)
            .and_then(|(id, secret)| {
                // RFC 6749, section 2.3.1, form-encodes both parts before joining; Zoom's samples do not. Both do.
                self.app_of(&id, &secret)
                    .or_else(|| self.app_of(&form_decoded(&id), &form_decoded(&secret)))
            })
            .ok_or(TokenError::INVALID_CLIENT)
    }

    fn app_of(&self, client_id: &str, secret: &str) -> Option<App> {
        let app = self.read(|state| state.apps.get(client_id).cloned())?;
        signing::same(&app.client_secret, secret).then_some(app)
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    text.split_once(':')
        .map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}

fn form_decoded(text: &str) -> String {
    let pair = format!("v={text}");
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}
