//! What is sealed in this room's table, and how.

use domicile_kernel::{BotMessageId, Secret};
use domicile_vault::{DataKey, Place, Vault, VaultError};
use domicile_zoom::chat::CallbackUrl;
use domicile_zoom::chat::content::Content;
use domicile_zoom::host::ZoomHosts;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::ChatbotError;

fn content_place(id: BotMessageId) -> Place {
    Place::new("bot_messages", "content_sealed", id)
}

fn callback_place(id: BotMessageId) -> Place {
    Place::new("bot_messages", "callback_sealed", id)
}

fn request_place(id: BotMessageId) -> Place {
    Place::new("bot_messages", "request_sealed", id)
}

pub(crate) fn seal_content(
    key: &DataKey,
    id: BotMessageId,
    content: &Content,
) -> Result<Vec<u8>, VaultError> {
    let json = Zeroizing::new(content.to_json());
    key.seal(content_place(id), json.as_bytes())
}

pub(crate) async fn open_content(
    vault: &Vault,
    id: BotMessageId,
    sealed: &[u8],
) -> Result<Content, ChatbotError> {
    let json = vault.open(content_place(id), sealed).await?;
    let value: Value = serde_json::from_slice(json.expose())
        .map_err(|_| ChatbotError::Sealed("bot_messages.content_sealed"))?;
    // A later version may be stricter than the one that took it in.
    Content::parse(&value).map_err(ChatbotError::Content)
}

/// The plaintext of `callback_sealed`.
#[derive(Serialize, Deserialize)]
struct SealedCallback<T> {
    url: T,
    token: T,
}

pub(crate) fn seal_callback(
    key: &DataKey,
    id: BotMessageId,
    url: &CallbackUrl,
    token: &Secret<String>,
) -> Result<Vec<u8>, ChatbotError> {
    let plain = SealedCallback {
        url: url.expose(),
        token: token.expose().as_str(),
    };
    let plain = Zeroizing::new(
        serde_json::to_vec(&plain).map_err(|_| ChatbotError::Sealed("bot_messages.callback_sealed"))?,
    );
    Ok(key.seal(callback_place(id), &plain)?)
}

/// The callback, if its host is still one of Zoom's.
pub(crate) async fn open_callback(
    vault: &Vault,
    hosts: &ZoomHosts,
    id: BotMessageId,
    sealed: &[u8],
) -> Result<Option<(CallbackUrl, Secret<String>)>, ChatbotError> {
    let plain = vault.open(callback_place(id), sealed).await?;
    let plain: SealedCallback<Secret<String>> = serde_json::from_slice(plain.expose())
        .map_err(|_| ChatbotError::Sealed("bot_messages.callback_sealed"))?;
    let url = CallbackUrl::check(plain.url.expose(), hosts).ok();
    Ok(url.map(|url| (url, plain.token)))
}

/// What tells one request from another with the same origin.
pub(crate) fn digest(request: &Value) -> [u8; 32] {
    // Members are in the order of their names, whichever they came in.
    let text = Zeroizing::new(request.to_string());
    Sha256::digest(text.as_bytes()).into()
}

pub(crate) fn seal_digest(key: &DataKey, id: BotMessageId, digest: &[u8; 32]) -> Result<Vec<u8>, VaultError> {
    key.seal(request_place(id), digest)
}

pub(crate) async fn open_digest(
    vault: &Vault,
    id: BotMessageId,
    sealed: &[u8],
) -> Result<Secret<Vec<u8>>, VaultError> {
    vault.open(request_place(id), sealed).await
}
