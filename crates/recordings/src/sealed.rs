//! What is sealed in this room's tables, and how.

use domicile_kernel::{FileId, RecordingId, Secret, Timestamp};
use domicile_vault::{DataKey, Place, Vault, VaultError};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::RecordingsError;
use crate::format::UNKNOWN_EXTENSION;
use crate::plan::{Facts, Offer, UNKNOWN_KIND};
use crate::store::{FileRow, FileValues, RecordingRow};
use crate::view::Topic;

fn url_place(id: FileId) -> Place {
    Place::new("recording_files", "download_url_sealed", id)
}

fn token_place(id: FileId) -> Place {
    Place::new("recording_files", "download_token_sealed", id)
}

fn topic_place(id: RecordingId) -> Place {
    Place::new("recordings", "topic_sealed", id)
}

/// The plaintext of `download_url_sealed`. The time of the event decides which of two URLs is the later.
#[derive(Serialize, Deserialize)]
struct SealedUrl<T> {
    url: T,
    at: Option<Timestamp>,
}

pub(crate) fn seal_topic(
    key: &DataKey,
    id: RecordingId,
    topic: &Secret<String>,
) -> Result<Vec<u8>, VaultError> {
    key.seal(topic_place(id), topic.expose().as_bytes())
}

pub(crate) async fn open_topic(vault: &Vault, row: &RecordingRow) -> Result<Option<Topic>, VaultError> {
    match &row.topic_sealed {
        Some(sealed) => {
            let topic = vault.open_text(topic_place(row.id()), sealed).await?;
            Ok(Some(Topic(topic)))
        }
        None => Ok(None),
    }
}

/// The columns that hold these facts.
pub(crate) fn file_values<'a>(
    key: &DataKey,
    id: FileId,
    facts: &'a Facts,
) -> Result<FileValues<'a>, RecordingsError> {
    let (mut url, mut token, mut size) = (None, None, None);
    if let Some(offer) = &facts.offer {
        let plain = SealedUrl {
            url: offer.url.expose(),
            at: offer.at,
        };
        let plain = Zeroizing::new(
            serde_json::to_vec(&plain)
                .map_err(|_| RecordingsError::Sealed("recording_files.download_url_sealed"))?,
        );
        url = Some(key.seal(url_place(id), &plain)?);
        token = offer
            .token
            .as_ref()
            .map(|token| key.seal(token_place(id), token.expose().as_bytes()))
            .transpose()?;
        size = offer.size_bytes.and_then(|size| i64::try_from(size).ok());
    }
    Ok(FileValues {
        kind: facts.kind.as_deref().unwrap_or(UNKNOWN_KIND),
        extension: facts.extension.as_deref().unwrap_or(UNKNOWN_EXTENSION),
        recording_type: facts.recording_type.clone(),
        recorded_from: facts.recorded_from,
        recorded_to: facts.recorded_to,
        announced_size_bytes: size,
        download_url_sealed: url,
        download_token_sealed: token,
    })
}

/// The facts that a row holds. An offer that another key sealed is as good as none: the next event brings a new one.
pub(crate) fn facts(key: &DataKey, row: &FileRow) -> Facts {
    let opened =
        |place, sealed: &Option<Vec<u8>>| sealed.as_ref().and_then(|sealed| key.open(place, sealed).ok());
    let id = row.id();
    let offer = opened(url_place(id), &row.download_url_sealed).and_then(|url| {
        let token = opened(token_place(id), &row.download_token_sealed);
        offer(row, &url, token.as_ref()).ok()
    });
    Facts {
        kind: (row.kind != UNKNOWN_KIND).then(|| row.kind.clone()),
        extension: (row.extension != UNKNOWN_EXTENSION).then(|| row.extension.clone()),
        recording_type: row.recording_type.clone(),
        recorded_from: row.recorded_from,
        recorded_to: row.recorded_to,
        offer,
    }
}

/// Where the row says that the file can be fetched, opened with whichever key sealed it.
pub(crate) async fn open_offer(vault: &Vault, row: &FileRow) -> Result<Option<Offer>, RecordingsError> {
    let Some(sealed) = &row.download_url_sealed else {
        return Ok(None);
    };
    let id = row.id();
    let url = vault.open(url_place(id), sealed).await?;
    let token = match &row.download_token_sealed {
        Some(sealed) => Some(vault.open(token_place(id), sealed).await?),
        None => None,
    };
    offer(row, &url, token.as_ref()).map(Some)
}

fn offer(
    row: &FileRow,
    url: &Secret<Vec<u8>>,
    token: Option<&Secret<Vec<u8>>>,
) -> Result<Offer, RecordingsError> {
    let plain: SealedUrl<Secret<String>> = serde_json::from_slice(url.expose())
        .map_err(|_| RecordingsError::Sealed("recording_files.download_url_sealed"))?;
    let token = token
        .map(|token| {
            std::str::from_utf8(token.expose())
                .map(Secret::from)
                .map_err(|_| RecordingsError::Sealed("recording_files.download_token_sealed"))
        })
        .transpose()?;
    Ok(Offer {
        url: plain.url,
        token,
        size_bytes: row.announced_size_bytes.and_then(|size| u64::try_from(size).ok()),
        at: plain.at,
    })
}
