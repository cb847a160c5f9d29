//! Zoom's OAuth: the authorization code flow with PKCE, refresh and revocation (RFC 6749, RFC 7636, RFC 7009;
//! Zoom: OAuth with Zoom).

mod answer;
mod error;
mod pkce;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domicile_egress::Client;
use domicile_kernel::{Clock, Secret};
use http::{Method, Request, header};
use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{
    AsyncHttpClient, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError,
    StandardRevocableToken, TokenUrl,
};
use thiserror::Error;
use url::{Url, form_urlencoded};

use crate::transport::{self, Answer, NoAnswer};
use answer::ZoomTokenResponse;

pub use error::{LostCause, OAuthError, codes};
pub use pkce::{PkceChallenge, PkceVerifier};

// Two JSON Web Tokens of under 4 KiB each, with room to grow.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

type OAuthClient = oauth2::Client<
    BasicErrorResponse,
    ZoomTokenResponse,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// The OAuth client of one Marketplace app.
#[derive(Clone)]
pub struct ZoomOAuth {
    client: OAuthClient,
    client_id: String,
    client_secret: Secret<String>,
    revoke_url: Url,
    http: Client,
    clock: Arc<dyn Clock>,
}

/// An OAuth base URL below which no endpoint can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the OAuth URL must be a base such as https://zoom.us")]
pub struct InvalidOAuthUrl;

/// What Zoom grants. Write it down before using it: the refresh token that it replaces is already dead.
#[derive(Clone)]
pub struct TokenSet {
    /// Opens the API.
    pub access_token: Secret<String>,
    /// Gives the next pair, once; absent for grants without a user.
    pub refresh_token: Option<Secret<String>>,
    /// How long the access token lives.
    pub expires_in: Duration,
    /// The scopes granted; may be missing for some seconds after an app was made.
    pub scopes: Vec<String>,
    /// The API host of the user's home cluster, unchecked: [`crate::host::ZoomHosts::validate_api_url`] comes next.
    pub api_url: Option<Url>,
}

impl ZoomOAuth {
    /// A client of the app with this id. `oauth_url` is the base, `https://zoom.us`; `redirect_uri` must equal one that
    /// is registered with the app, character for character.
    pub fn new(
        client_id: &str,
        client_secret: Secret<String>,
        oauth_url: &Url,
        redirect_uri: &Url,
        http: Client,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidOAuthUrl> {
        let endpoint = |name: &str| {
            let mut url = oauth_url.clone();
            url.path_segments_mut()
                .map_err(|()| InvalidOAuthUrl)?
                .pop_if_empty()
                .extend(["oauth", name]);
            Ok(url)
        };
        let client = oauth2::Client::new(ClientId::new(client_id.to_owned()))
            .set_client_secret(ClientSecret::new(client_secret.expose().clone()))
            .set_auth_uri(AuthUrl::from_url(endpoint("authorize")?))
            .set_token_uri(TokenUrl::from_url(endpoint("token")?))
            .set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()));
        Ok(Self {
            client,
            client_id: client_id.to_owned(),
            client_secret,
            revoke_url: endpoint("revoke")?,
            http,
            clock,
        })
    }

    /// The app's id at Zoom.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Where the browser is sent for consent (RFC 6749 section 4.1.1). The challenge is always S256, since Zoom takes a
    /// challenge without a method for `plain`.
    pub fn authorize_url(&self, state: &Secret<String>, challenge: &PkceChallenge) -> Url {
        let (url, _) = self
            .client
            .authorize_url(|| CsrfToken::new(state.expose().clone()))
            .set_pkce_challenge(challenge.to_oauth2())
            .url();
        url
    }

    /// Exchanges a code (RFC 6749 section 4.1.3), which lives five minutes and works once.
    pub async fn exchange(
        &self,
        code: &Secret<String>,
        verifier: &PkceVerifier,
    ) -> Result<TokenSet, OAuthError> {
        let http = TokenEndpoint::new(self);
        let answer = self
            .client
            .exchange_code(AuthorizationCode::new(code.expose().clone()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()))
            .request_async(&http)
            .await;
        http.outcome(answer)
    }

    /// Exchanges a refresh token for a new pair (RFC 6749 section 6). Zoom ends the old token at once and has no grace:
    /// after [`OAuthError::may_have_rotated`] the grant is unsure.
    pub async fn refresh(&self, refresh_token: &Secret<String>) -> Result<TokenSet, OAuthError> {
        let http = TokenEndpoint::new(self);
        let refresh_token = RefreshToken::new(refresh_token.expose().clone());
        let answer = self
            .client
            .exchange_refresh_token(&refresh_token)
            .request_async(&http)
            .await;
        http.outcome(answer)
    }

    /// A token of the app itself, without a user (RFC 6749 section 4.4): for the chatbot, or to see whether Zoom knows id
    /// and secret. It has no refresh token, and no token before it ends.
    pub async fn client_credentials(&self) -> Result<TokenSet, OAuthError> {
        let http = TokenEndpoint::new(self);
        let answer = self
            .client
            .exchange_client_credentials()
            .request_async(&http)
            .await;
        http.outcome(answer)
    }

    /// Ends the grant of this access token at Zoom. A token that is dead already is a success.
    ///
    /// Written by hand: RFC 7009's client in `oauth2` insists on https, which a Zoom on a loopback host has not.
    pub async fn revoke(&self, access_token: &Secret<String>) -> Result<(), OAuthError> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", access_token.expose())
            .finish();
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let credentials = STANDARD.encode(format!(
            "{}:{}",
            encode(&self.client_id),
            encode(self.client_secret.expose())
        ));
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.revoke_url.as_str())
            .header(header::AUTHORIZATION, format!("Basic {credentials}"))
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(body))
            .map_err(|_| OAuthError::NotARequest)?;
        match self.call(request).await {
            Ok(_)
            | Err(
                OAuthError::InvalidGrant { .. }
                | OAuthError::Rejected {
                    error: Some("invalid_token"),
                    ..
                },
            ) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn call(&self, request: Request<Bytes>) -> Result<Answer, OAuthError> {
        let answer = transport::send(&self.http, request, MAX_ANSWER_BYTES)
            .await
            .map_err(|no_answer| match no_answer {
                NoAnswer::NotSent(cause) => OAuthError::Unreachable(cause),
                NoAnswer::Lost(cause) => OAuthError::LostAnswer(LostCause::Transport(cause)),
            })?;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(error::from_answer(&answer, self.clock.now()))
        }
    }
}

/// What `oauth2` sends through: egress below, Zoom's errors understood before `oauth2` sees an answer, because it knows
/// neither their form nor the difference between a refusal and an outage.
struct TokenEndpoint<'a> {
    zoom: &'a ZoomOAuth,
    error: Arc<Mutex<Option<OAuthError>>>,
}

/// Stands for the error that [`TokenEndpoint`] keeps.
#[derive(Debug, Error)]
#[error("the token endpoint gave no token")]
struct NoToken;

impl<'a> TokenEndpoint<'a> {
    fn new(zoom: &'a ZoomOAuth) -> Self {
        Self {
            zoom,
            error: Arc::default(),
        }
    }

    fn outcome(
        self,
        answer: Result<ZoomTokenResponse, RequestTokenError<NoToken, BasicErrorResponse>>,
    ) -> Result<TokenSet, OAuthError> {
        let kept = self.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (answer, kept) {
            (Ok(answer), _) => Ok(answer.into_token_set()),
            (Err(_), Some(error)) => Err(error),
            // A success that cannot be read: the old token is gone and the new one was not understood.
            (Err(_), None) => Err(OAuthError::LostAnswer(LostCause::Unreadable)),
        }
    }
}

impl<'c> AsyncHttpClient<'c> for TokenEndpoint<'_> {
    type Error = NoToken;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoToken>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            match self.zoom.call(request.map(Bytes::from)).await {
                Ok(answer) => {
                    // `oauth2` takes no other success than 200, and no other type than JSON: the body alone decides.
                    Ok(HttpResponse::new(answer.body.to_vec()))
                }
                Err(error) => {
                    *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Err(NoToken)
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
