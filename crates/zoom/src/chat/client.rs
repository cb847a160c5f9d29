//! The calls (Zoom: Chatbot API).

use std::sync::Arc;

use bytes::Bytes;
use domicile_egress::Client;
use domicile_kernel::{Clock, Secret, ZoomAccountId, ZoomUserId};
use http::{Method, Request, header};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

use super::content::Content;
use super::error::{ChatError, from_answer};
use super::token::{ChatbotToken, ChatbotTokens};
use crate::api::encode_segment;
use crate::host::{ApiBase, ZoomHosts};
use crate::transport;
use crate::wire::{Object, Scalar};

/// An answer holds ids and a time.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const CALLBACK_PATH: &str = "/v2/im/chat/callback/";

/// Speaks as the bot.
#[derive(Clone)]
pub struct ChatApi {
    http: Client,
    hosts: Arc<ZoomHosts>,
    tokens: ChatbotTokens,
    clock: Arc<dyn Clock>,
}

/// Zoom's id of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageId(String);

impl MessageId {
    /// Takes the id as Zoom wrote it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as Zoom wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message to be sent.
#[derive(Clone, Copy, Serialize)]
pub struct NewMessage<'a> {
    /// The bot.
    pub robot_jid: &'a str,
    /// The channel or user.
    pub to_jid: &'a str,
    /// The account.
    pub account_id: &'a ZoomAccountId,
    /// On whose behalf. Zoom's specification requires it, its guide only of user-managed apps: give it where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_jid: Option<&'a str>,
    /// The message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<&'a str>,
    /// The one user who sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visible_to_user: Option<&'a str>,
    /// Whether texts are Markdown.
    pub is_markdown_support: bool,
    /// What it shows.
    pub content: &'a Content,
}

/// A message that shall show something else.
#[derive(Clone, Copy, Serialize)]
pub struct EditMessage<'a> {
    /// The bot.
    pub robot_jid: &'a str,
    /// The account.
    pub account_id: &'a ZoomAccountId,
    /// On whose behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_jid: Option<&'a str>,
    /// Whether texts are Markdown.
    pub is_markdown_support: bool,
    /// What it shows from now on.
    pub content: &'a Content,
}

#[derive(Serialize)]
struct CallbackAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visible_to_user: Option<&'a str>,
    is_markdown_support: bool,
    content: &'a Content,
}

#[derive(Serialize)]
struct Unfurl {
    /// JSON in a text, as Zoom wants it.
    content: String,
}

/// A message that Zoom took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// Its id; without one it can be neither edited nor deleted. Zoom promises one for a send and does not say whether an
    /// answer by callback has one.
    pub message_id: Option<MessageId>,
}

/// The URL by which an interactive event may be answered once, checked. Nothing prints it.
#[derive(Clone)]
pub struct CallbackUrl(Secret<String>);

/// Why a callback's URL is not called. The URL itself is not shown, since anybody may have written it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the callback's URL is not one of Zoom's")]
pub struct InvalidCallback;

impl CallbackUrl {
    /// Checks it: an allowed host, https except on a loopback host, and `/v2/im/chat/callback/` with one segment more.
    pub fn check(text: &str, hosts: &ZoomHosts) -> Result<Self, InvalidCallback> {
        let url = Url::parse(text).map_err(|_| InvalidCallback)?;
        let id = url.path().strip_prefix(CALLBACK_PATH).unwrap_or_default();
        let bare = url.query().is_none() && url.fragment().is_none();
        // An encoded slash or dot would make another path of it behind the next proxy.
        let plain = !id.is_empty()
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_~=+".contains(&byte));
        if bare && plain && hosts.allows(&url) {
            Ok(Self(Secret::new(url.into())))
        } else {
            Err(InvalidCallback)
        }
    }

    /// The URL.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl ChatApi {
    /// A client of the Chatbot API. `hosts` is asked at each call, and addresses of private networks are never called,
    /// since Zoom names the host.
    pub fn new(http: Client, hosts: Arc<ZoomHosts>, tokens: ChatbotTokens, clock: Arc<dyn Clock>) -> Self {
        Self {
            http: http.for_foreign_urls(),
            hosts,
            tokens,
            clock,
        }
    }

    /// The hosts that a callback may use.
    pub fn hosts(&self) -> &ZoomHosts {
        &self.hosts
    }

    /// Makes sure that there is a token, so that the call that follows has nothing to wait for before it is sent.
    pub async fn ready(&self) -> Result<(), ChatError> {
        self.tokens.get().await.map(|_| ()).map_err(ChatError::NoToken)
    }

    /// Sends a message: `POST /im/chat/messages` (medium). Zoom has no idempotency key: twice sent is twice said.
    pub async fn send(&self, message: &NewMessage<'_>) -> Result<SentMessage, ChatError> {
        let body = json(message)?;
        let answer = self
            .call(Method::POST, "im/chat/messages", &[], Some(&body))
            .await?;
        Ok(sent(&answer))
    }

    /// Changes a message: `PUT /im/chat/messages/{id}` (medium).
    pub async fn edit(&self, id: &MessageId, edit: &EditMessage<'_>) -> Result<(), ChatError> {
        let body = json(edit)?;
        self.call(Method::PUT, &message_path(id), &[], Some(&body))
            .await
            .map(|_| ())
    }

    /// Takes a message back: `DELETE /im/chat/messages/{id}` (medium).
    pub async fn delete(
        &self,
        id: &MessageId,
        account: &ZoomAccountId,
        robot_jid: &str,
        user_jid: Option<&str>,
    ) -> Result<(), ChatError> {
        let mut query = vec![("account_id", account.as_str()), ("robot_jid", robot_jid)];
        query.extend(user_jid.map(|jid| ("user_jid", jid)));
        self.call(Method::DELETE, &message_path(id), &query, None)
            .await
            .map(|_| ())
    }

    /// Shows a preview of a link: `POST /im/chat/users/{user}/unfurls/{trigger}` (medium).
    pub async fn unfurl(&self, user: &ZoomUserId, trigger: &str, content: &Content) -> Result<(), ChatError> {
        let path = format!(
            "im/chat/users/{}/unfurls/{}",
            encode_segment(user.as_str()),
            encode_segment(trigger)
        );
        let body = json(&Unfurl {
            content: content.to_json(),
        })?;
        self.call(Method::POST, &path, &[], Some(&body)).await.map(|_| ())
    }

    /// Answers an interactive event by its own URL and token, which work once. Neither is tried again here: the caller
    /// falls back to [`ChatApi::send`] where the failure surely had no effect.
    pub async fn answer_callback(
        &self,
        url: &CallbackUrl,
        token: &Secret<String>,
        message: &NewMessage<'_>,
    ) -> Result<SentMessage, ChatError> {
        // The row that it came from may be older than the setting.
        let checked = Url::parse(url.expose()).map_err(|_| ChatError::NotARequest)?;
        if !self.hosts.allows(&checked) {
            return Err(ChatError::HostNotAllowed);
        }
        let body = json(&CallbackAnswer {
            reply_to: message.reply_to,
            visible_to_user: message.visible_to_user,
            is_markdown_support: message.is_markdown_support,
            content: message.content,
        })?;
        let answer = self.once(Method::POST, &checked, token, Some(&body)).await?;
        Ok(sent(&answer))
    }

    /// Calls with the chatbot token; where Zoom refuses it, once more with a fresh one.
    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Bytes>,
    ) -> Result<transport::Answer, ChatError> {
        let token = self.token().await?;
        match self.call_with(&token, method.clone(), path, query, body).await {
            Err(ChatError::Unauthorized) => {
                self.tokens.refused(&token).await;
                let token = self.token().await?;
                let answer = self.call_with(&token, method, path, query, body).await;
                if matches!(answer, Err(ChatError::Unauthorized)) {
                    self.tokens.refused(&token).await;
                }
                answer
            }
            answer => answer,
        }
    }

    async fn token(&self) -> Result<ChatbotToken, ChatError> {
        self.tokens.get().await.map_err(ChatError::NoToken)
    }

    async fn call_with(
        &self,
        token: &ChatbotToken,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Bytes>,
    ) -> Result<transport::Answer, ChatError> {
        let url = endpoint(token.base(), path, query)?;
        if !self.hosts.allows(&url) {
            return Err(ChatError::HostNotAllowed);
        }
        self.once(method, &url, token.secret(), body).await
    }

    async fn once(
        &self,
        method: Method,
        url: &Url,
        token: &Secret<String>,
        body: Option<&Bytes>,
    ) -> Result<transport::Answer, ChatError> {
        let mut request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
            .header(header::ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(body.cloned().unwrap_or_default())
            .map_err(|_| ChatError::NotARequest)?;
        let answer = transport::send(&self.http, request, MAX_ANSWER_BYTES).await?;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(from_answer(&answer, self.clock.now()))
        }
    }
}

fn message_path(id: &MessageId) -> String {
    format!("im/chat/messages/{}", encode_segment(id.as_str()))
}

fn endpoint(base: &ApiBase, path: &str, query: &[(&str, &str)]) -> Result<Url, ChatError> {
    let mut url = Url::parse(&format!("{}/v2/{path}", base.as_str())).map_err(|_| ChatError::NotARequest)?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

fn json(body: &impl Serialize) -> Result<Bytes, ChatError> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|_| ChatError::NotARequest)
}

/// A success says that the message is there, whatever else can be read of it.
fn sent(answer: &transport::Answer) -> SentMessage {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        message_id: Scalar,
    }

    let wire = serde_json::from_slice::<Object<Wire>>(&answer.body).ok();
    let id = wire
        .and_then(|object| object.0)
        .and_then(|wire| wire.message_id.id("message_id").ok().flatten());
    SentMessage {
        message_id: id.map(MessageId),
    }
}
