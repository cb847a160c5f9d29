//! A connect session that comes to no link: the row, the event and the audit say the same.

use domicile_kernel::state::{RefusalReason, TextState};
use domicile_kernel::{EventId, Timestamp};
use domicile_region::DirectoryEntry;
use domicile_store::audit::{Actor, AuditEntry};
use domicile_store::{Conn, NewEvent};
use domicile_vault::{DataKey, KeyScope, Place, VaultError};
use serde_json::{Value, json};
use tracing::info;

use crate::error::LinkingError;
use crate::linking::Linking;
use crate::metrics::METRICS;
use crate::store::sessions::{self, Session};

/// Why a connect session came to no link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub reason: RefusalReason,
    /// Where the Zoom user belongs, where that is the reason.
    pub home: Option<Box<Home>>,
}

/// Where a Zoom user belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Zoom's home cluster, such as `us`.
    pub cluster: String,
    /// The region that serves it, if the directory has one.
    pub region: Option<DirectoryEntry>,
}

impl From<RefusalReason> for Refusal {
    fn from(reason: RefusalReason) -> Self {
        Self { reason, home: None }
    }
}

impl Refusal {
    /// The user's home is this cluster, which another region serves.
    pub(crate) fn wrong_cluster(cluster: &str, region: Option<&DirectoryEntry>) -> Self {
        Self {
            reason: RefusalReason::WrongCluster,
            home: Some(Box::new(Home {
                cluster: cluster.to_owned(),
                region: region.cloned(),
            })),
        }
    }

    fn view(&self, session: &Session) -> Value {
        let home = self.home.as_ref().map(|home| {
            json!({
                "cluster": home.cluster,
                "region": home.region.as_ref().map(|region| json!({
                    "id": region.id, "name": region.name, "install_url": region.install_url,
                })),
            })
        });
        json!({ "connect_session_id": session.id, "reason": self.reason, "home": home })
    }
}

/// Who ends a session, and the key that seals the event about it: the account is not known, or not to be kept.
pub(crate) struct Refusing {
    pub(crate) actor: Actor,
    pub(crate) key: DataKey,
    pub(crate) now: Timestamp,
}

impl Linking {
    /// Gets ready to end a session, before a transaction begins.
    pub(crate) async fn refusing(&self, actor: Actor) -> Result<Refusing, VaultError> {
        Ok(Refusing {
            actor,
            key: self.parts.vault.key(&KeyScope::Region).await?,
            now: self.now(),
        })
    }

    /// Ends the session without a link, destroys its secrets, tells the app and leaves an audit entry, all as part of the
    /// caller's transaction.
    pub(crate) async fn refuse_in(
        &self,
        conn: &mut Conn,
        session: &Session,
        refusal: &Refusal,
        with: &Refusing,
    ) -> Result<(), LinkingError> {
        let reason = refusal.reason;
        sessions::refuse(conn, session.id, session.status.refuse()?, reason, with.now).await?;
        let id: EventId = self.parts.ids.make();
        let data = json!({ "refusal": refusal.view(session) }).to_string();
        let event = NewEvent {
            id,
            mailbox: session.id.into(),
            event_type: "link.refused",
            version: 1,
            subject: Some(session.subject.clone()),
            account: None,
            occurred_at: with.now,
            data_sealed: with
                .key
                .seal(Place::new("events", "data_sealed", id), data.as_bytes())?,
        };
        self.parts.outbox.write(conn, event).await?;
        AuditEntry::refused(with.actor.clone(), "link.activate", reason.as_str())
            .subject(&session.subject)
            .connect_session(session.id)
            .write(conn, &self.parts.ids)
            .await?;
        METRICS.session("refused", reason.as_str());
        info!(connect_session.id = %session.id, reason = reason.as_str(), "a connect session was refused");
        Ok(())
    }
}
