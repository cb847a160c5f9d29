//! Taking in what Zoom sends.

use std::time::Duration;

use chrono::Datelike;
use domicile_kernel::{Ids, InboxId, Secret, Timestamp};
use domicile_store::Db;
use domicile_store::inbox::{InboxOutcome, InboxRow};
use domicile_vault::{KeyScope, Place, Vault};
use domicile_web::extract::{Admission, VerifiedZoomRequest};
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::encoding::{self, BodyEncoding};
use crate::endpoint::Endpoint;
use crate::error::IntakeError;
use crate::metrics::METRICS;
use crate::reason::QuarantineReason;
use crate::settings::IntakeSettings;
use crate::store;
use crate::writer::{InboxWriter, Kept};

/// With how many keys of an account sealing is tried.
const MAX_KEYS: usize = 3;

/// The inbox, as the two endpoints and the readers of bodies see it. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    settings: IntakeSettings,
    db: Db,
    ids: Ids,
    vault: Vault,
    writer: InboxWriter,
}

impl Intake {
    /// The inbox in this database.
    pub fn new(settings: IntakeSettings, db: Db, ids: Ids, vault: Vault) -> Self {
        METRICS.start_at_zero();
        Self {
            settings,
            writer: InboxWriter::start(db.settings().clone(), settings.writer),
            db,
            ids,
            vault,
        }
    }

    /// The same inbox with a writer and a connection of its own in the runtime in which this is called. A worker that has a
    /// thread for itself answers without waking another one.
    #[must_use]
    pub fn on_this_thread(&self) -> Self {
        Self {
            writer: InboxWriter::start(self.db.settings().clone(), self.settings.writer),
            ..self.clone()
        }
    }

    /// What it was made with.
    pub fn settings(&self) -> &IntakeSettings {
        &self.settings
    }

    /// Keeps what Zoom sent. When this returns `Ok` it is committed, and Zoom may be told so (INV-2).
    pub async fn keep(&self, endpoint: Endpoint, request: &VerifiedZoomRequest) -> Result<Kept, IntakeError> {
        let limit = self.settings.commit_timeout;
        let kept = match timeout(limit, self.seal_and_write(endpoint, request)).await {
            Ok(kept) => kept,
            Err(_) => Err(IntakeError::TooSlow(limit)),
        };
        METRICS.received(endpoint, &kept);
        kept
    }

    async fn seal_and_write(
        &self,
        endpoint: Endpoint,
        request: &VerifiedZoomRequest,
    ) -> Result<Kept, IntakeError> {
        let coded = encoding::encode(&request.body)?;
        for _ in 0..MAX_KEYS {
            let row = self.seal(endpoint, request, coded.as_deref()).await?;
            let (id, sealed_by) = (row.id, row.sealed_by);
            match (self.writer.write(row).await?, &request.envelope) {
                (InboxOutcome::New, Ok(_)) => {
                    debug!(inbox.id = %id, endpoint = endpoint.as_str(), "kept");
                    return Ok(Kept::New);
                }
                (InboxOutcome::New, Err(error)) => {
                    METRICS.quarantined(QuarantineReason::Unparseable);
                    warn!(inbox.id = %id, endpoint = endpoint.as_str(), %error, "signed by Zoom, but no event can be read from it; kept in quarantine");
                    return Ok(Kept::New);
                }
                (InboxOutcome::Duplicate, _) => {
                    debug!(endpoint = endpoint.as_str(), "a duplicate");
                    return Ok(Kept::Duplicate);
                }
                // Another process destroyed it a moment ago: the account begins anew.
                (InboxOutcome::KeyDestroyed, _) => {
                    if let Some(key) = sealed_by {
                        self.vault.forget(key);
                    }
                }
            }
        }
        Err(IntakeError::KeyDestroyed)
    }

    async fn seal(
        &self,
        endpoint: Endpoint,
        request: &VerifiedZoomRequest,
        coded: Option<&[u8]>,
    ) -> Result<InboxRow, IntakeError> {
        let envelope = request.envelope.as_ref().ok();
        let account = envelope.and_then(|envelope| envelope.account_id.clone());
        let of_account = account.is_some();
        let scope = account.map_or(KeyScope::Region, KeyScope::Account);
        let key = self.vault.key_to_be_checked(&scope).await?;
        let id: InboxId = self.ids.make();
        let encoding = match coded {
            Some(_) => BodyEncoding::Zstd1,
            None => BodyEncoding::Identity,
        };
        let event_at = envelope
            .and_then(|envelope| envelope.event_ts)
            .filter(database_holds);
        Ok(InboxRow {
            id,
            endpoint: endpoint.as_str(),
            digest: digest(event_at, &request.body),
            quarantined: envelope.is_none().then(|| QuarantineReason::Unparseable.as_str()),
            event_type: envelope.map(|envelope| envelope.event.clone()),
            zoom_account_id: envelope.and_then(|envelope| envelope.account_id.clone()),
            zoom_user_id: envelope.and_then(|envelope| envelope.user_id.clone()),
            zoom_client_id: envelope.and_then(|envelope| envelope.client_id.clone()),
            zoom_request_id: request.zoom_request_id.clone(),
            traceparent: domicile_telemetry::current_traceparent(),
            event_at,
            received_at: request.received_at,
            body_sealed: key.seal(place(id), coded.unwrap_or(&request.body))?,
            body_encoding: encoding.as_str(),
            body_size_bytes: i32::try_from(request.body.len()).unwrap_or(i32::MAX),
            sealed_by: of_account.then(|| key.id()),
        })
    }

    /// Notes that Zoom had the endpoint prove itself; it never waits for the database.
    pub fn challenged(&self, endpoint: Endpoint) {
        self.writer.challenged(endpoint, self.ids.clock().now());
    }

    /// Writes what is still to be written and takes nothing more: for the end of the process, after the last request.
    pub async fn finish(&self, limit: Duration) {
        self.writer.finish(limit).await;
    }

    /// Opens the body of a row.
    pub async fn body(&self, id: InboxId) -> Result<Secret<Vec<u8>>, IntakeError> {
        let row = store::body(&mut *self.db.conn().await?, id).await?;
        open_body(&self.vault, id, row).await
    }
}

impl Admission for Intake {
    fn turned_away(&self) -> Option<Duration> {
        self.writer.sends_away().then_some(self.settings.retry_after)
    }
}

/// Opens and decodes what [`store::body`] has read.
pub(crate) async fn open_body(
    vault: &Vault,
    id: InboxId,
    row: store::SealedBody,
) -> Result<Secret<Vec<u8>>, IntakeError> {
    let encoding = BodyEncoding::from_name(&row.encoding)?;
    let coded = vault.open(place(id), &row.sealed).await?;
    Ok(encoding::decode(encoding, coded, row.size_bytes)?)
}

fn place(id: InboxId) -> Place {
    Place::new("inbox", "body_sealed", id)
}

/// What tells a duplicate: a function of the signed body alone. The event's time stands first, so that what comes in about the
/// same time lies together in the index, however many rows there are; 26 bytes of SHA-256 make each body its own.
fn digest(event_at: Option<Timestamp>, body: &[u8]) -> [u8; 32] {
    let millis = event_at.map_or(0, |time| time.timestamp_millis()).to_be_bytes();
    let hash = Sha256::digest(body);
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(millis[2..].iter().chain(&hash[..])) {
        *to = *from;
    }
    digest
}

/// A number that Zoom never meant as a time must not make the row impossible to write.
fn database_holds(time: &Timestamp) -> bool {
    (1..=9999).contains(&time.year())
}
