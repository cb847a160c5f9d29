//! Taking in what Zoom sends.

use bytes::Bytes;
use chrono::Datelike;
use domicile_kernel::{Ids, InboxId, Secret, Timestamp};
use domicile_store::Db;
use domicile_vault::{KeyScope, Place, Vault};
use domicile_zoom::event::Envelope;
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::endpoint::Endpoint;
use crate::error::IntakeError;
use crate::metrics::METRICS;
use crate::reason::QuarantineReason;
use crate::settings::IntakeSettings;
use crate::store;
use crate::writer::{InboxWriter, Kept, NewRow};

/// No id of Zoom's is longer; a longer one correlates nothing.
const MAX_REQUEST_ID_BYTES: usize = 200;

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
            writer: InboxWriter::new(db.clone()),
            db,
            ids,
            vault,
        }
    }

    /// What it was made with.
    pub fn settings(&self) -> &IntakeSettings {
        &self.settings
    }

    /// Keeps a body whose signature was verified. When this returns `Ok` it is committed, and Zoom may be told so (INV-2).
    ///
    /// `request_id` is `x-zm-request-id`; the signature does not cover it, so it is only written down.
    pub async fn keep(
        &self,
        endpoint: Endpoint,
        body: &Bytes,
        request_id: Option<&str>,
    ) -> Result<Kept, IntakeError> {
        let limit = self.settings.commit_timeout;
        match timeout(limit, self.seal_and_write(endpoint, body, request_id)).await {
            Ok(result) => result,
            Err(_) => Err(IntakeError::TooSlow(limit)),
        }
    }

    async fn seal_and_write(
        &self,
        endpoint: Endpoint,
        body: &Bytes,
        request_id: Option<&str>,
    ) -> Result<Kept, IntakeError> {
        let envelope = Envelope::parse(body);
        let scope = envelope
            .as_ref()
            .ok()
            .and_then(|envelope| envelope.account_id.clone())
            .map_or(KeyScope::Region, KeyScope::Account);
        let key = self.vault.key(&scope).await?;
        let id: InboxId = self.ids.make();
        let mut row = NewRow {
            id,
            endpoint,
            digest: Sha256::digest(body).into(),
            quarantined: None,
            event_type: None,
            zoom_account_id: None,
            zoom_user_id: None,
            zoom_client_id: None,
            zoom_request_id: request_id.and_then(plain_request_id),
            traceparent: domicile_telemetry::current_traceparent(),
            event_at: None,
            received_at: self.ids.clock().now(),
            body_sealed: key.seal(place(id), body)?,
            body_size_bytes: i32::try_from(body.len()).unwrap_or(i32::MAX),
        };
        match envelope {
            Ok(envelope) => {
                row.event_type = Some(envelope.event);
                row.zoom_account_id = envelope.account_id;
                row.zoom_user_id = envelope.user_id;
                row.zoom_client_id = envelope.client_id;
                row.event_at = envelope.event_ts.filter(database_holds);
            }
            Err(error) => {
                warn!(inbox.id = %id, %error, "a signed request holds no event that can be read; it is kept in quarantine");
                row.quarantined = Some(QuarantineReason::Unparseable);
            }
        }
        let quarantined = row.quarantined;
        let kept = self.writer.write(row).await?;
        if let (Kept::New, Some(reason)) = (kept, quarantined) {
            METRICS.quarantined(reason);
        }
        if kept == Kept::New {
            info!(inbox.id = %id, endpoint = endpoint.as_str(), "kept");
        }
        Ok(kept)
    }

    /// Opens the body of a row.
    pub async fn body(&self, id: InboxId) -> Result<Secret<Vec<u8>>, IntakeError> {
        let sealed = store::body_sealed(&mut *self.db.conn().await?, id).await?;
        Ok(self.vault.open(place(id), &sealed).await?)
    }
}

fn place(id: InboxId) -> Place {
    Place::new("inbox", "body_sealed", id)
}

fn plain_request_id(text: &str) -> Option<String> {
    let plain =
        (1..=MAX_REQUEST_ID_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    plain.then(|| text.to_owned())
}

/// A number that Zoom never meant as a time must not make the row impossible to write.
fn database_holds(time: &Timestamp) -> bool {
    (1..=9999).contains(&time.year())
}
