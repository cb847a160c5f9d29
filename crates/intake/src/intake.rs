//! Taking in what Zoom sends.

use chrono::Datelike;
use domicile_kernel::{Ids, InboxId, Secret, Timestamp};
use domicile_store::Db;
use domicile_vault::{KeyScope, Place, Vault};
use domicile_web::extract::VerifiedZoomRequest;
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

    /// Keeps what Zoom sent. When this returns `Ok` it is committed, and Zoom may be told so (INV-2).
    pub async fn keep(&self, endpoint: Endpoint, request: &VerifiedZoomRequest) -> Result<Kept, IntakeError> {
        let limit = self.settings.commit_timeout;
        let kept = match timeout(limit, self.seal_and_write(endpoint, request)).await {
            Ok(kept) => kept,
            Err(_) => Err(IntakeError::TooSlow(limit)),
        };
        METRICS.received(endpoint, kept.as_ref().ok().copied());
        kept
    }

    async fn seal_and_write(
        &self,
        endpoint: Endpoint,
        request: &VerifiedZoomRequest,
    ) -> Result<Kept, IntakeError> {
        let account = match &request.envelope {
            Ok(envelope) => envelope.account_id.clone(),
            Err(_) => None,
        };
        let scope = account.map_or(KeyScope::Region, KeyScope::Account);
        let key = self.vault.key(&scope).await?;
        let id: InboxId = self.ids.make();
        let mut row = NewRow {
            id,
            endpoint,
            digest: Sha256::digest(&request.body).into(),
            quarantined: None,
            event_type: None,
            zoom_account_id: None,
            zoom_user_id: None,
            zoom_client_id: None,
            zoom_request_id: request.zoom_request_id.clone(),
            traceparent: domicile_telemetry::current_traceparent(),
            event_at: None,
            received_at: request.received_at,
            body_sealed: key.seal(place(id), &request.body)?,
            body_size_bytes: i32::try_from(request.body.len()).unwrap_or(i32::MAX),
        };
        match &request.envelope {
            Ok(envelope) => {
                row.event_type = Some(envelope.event.clone());
                row.zoom_account_id.clone_from(&envelope.account_id);
                row.zoom_user_id.clone_from(&envelope.user_id);
                row.zoom_client_id.clone_from(&envelope.client_id);
                row.event_at = envelope.event_ts.filter(database_holds);
            }
            Err(_) => row.quarantined = Some(QuarantineReason::Unparseable),
        }
        let kept = self.writer.write(row).await?;
        match (kept, &request.envelope) {
            (Kept::New, Ok(_)) => info!(inbox.id = %id, endpoint = endpoint.as_str(), "kept"),
            (Kept::New, Err(error)) => {
                METRICS.quarantined(QuarantineReason::Unparseable);
                warn!(inbox.id = %id, endpoint = endpoint.as_str(), %error, "signed by Zoom, but no event can be read from it; kept in quarantine");
            }
            (Kept::Duplicate, _) => info!(endpoint = endpoint.as_str(), "a duplicate"),
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

/// A number that Zoom never meant as a time must not make the row impossible to write.
fn database_holds(time: &Timestamp) -> bool {
    (1..=9999).contains(&time.year())
}
