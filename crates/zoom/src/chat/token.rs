//! The bot's token (Zoom: chatbot installation and authentication): one per Marketplace app, for all accounts.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domicile_kernel::{Clock, Secret, Timestamp};
use tokio::sync::Mutex;

use crate::host::{ApiBase, ZoomHosts};
use crate::oauth::{OAuthError, ZoomOAuth};

/// This long before its end a token is renewed.
const AHEAD: Duration = Duration::from_mins(5);

/// A token that works, as far as is known.
#[derive(Clone)]
pub struct ChatbotToken {
    secret: Secret<String>,
    base: ApiBase,
    /// Tells one token from the next.
    generation: u64,
    expires_at: Timestamp,
}

impl ChatbotToken {
    /// The token.
    pub fn secret(&self) -> &Secret<String> {
        &self.secret
    }

    /// Where it is for.
    pub fn base(&self) -> &ApiBase {
        &self.base
    }
}

/// Keeps the bot's token. All clones share it.
#[derive(Clone)]
pub struct ChatbotTokens {
    inner: Arc<Inner>,
}

struct Inner {
    oauth: ZoomOAuth,
    hosts: Arc<ZoomHosts>,
    default_base: ApiBase,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<ChatbotToken>,
    generation: u64,
}

impl ChatbotTokens {
    /// Tokens of the app that `oauth` is the client of. `default_base` is where they are for if Zoom names no host, or one
    /// that is not allowed.
    pub fn new(
        oauth: ZoomOAuth,
        hosts: Arc<ZoomHosts>,
        default_base: ApiBase,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                oauth,
                hosts,
                default_base,
                clock,
                held: Mutex::default(),
            }),
        }
    }

    /// The token; it is fetched where there is none or it nears its end, by one caller while the others wait. If that fails
    /// while the old one still lives, the old one is used.
    pub async fn get(&self) -> Result<ChatbotToken, OAuthError> {
        let inner = &self.inner;
        let mut held = inner.held.lock().await;
        let now = inner.clock.now();
        let ahead = TimeDelta::from_std(AHEAD).unwrap_or(TimeDelta::zero());
        if let Some(token) = &held.token
            && now + ahead < token.expires_at
        {
            return Ok(token.clone());
        }
        match inner.oauth.client_credentials().await {
            Ok(tokens) => {
                let base = tokens
                    .api_url
                    .and_then(|url| inner.hosts.validate_api_url(url.as_str()).ok())
                    .unwrap_or_else(|| inner.default_base.clone());
                held.generation += 1;
                let token = ChatbotToken {
                    secret: tokens.access_token,
                    base,
                    generation: held.generation,
                    expires_at: now + TimeDelta::from_std(tokens.expires_in).unwrap_or(TimeDelta::zero()),
                };
                held.token = Some(token.clone());
                Ok(token)
            }
            Err(error) => match &held.token {
                Some(token) if now < token.expires_at => Ok(token.clone()),
                _ => Err(error),
            },
        }
    }

    /// Forgets a token that Zoom refused, unless another has taken its place already.
    pub async fn refused(&self, token: &ChatbotToken) {
        let mut held = self.inner.held.lock().await;
        if held
            .token
            .as_ref()
            .is_some_and(|held| held.generation == token.generation)
        {
            held.token = None;
        }
    }
}
