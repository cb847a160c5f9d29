//! Which Zoom accounts may link here, where the region's admission is by account.

use domicile_kernel::{Timestamp, ZoomAccountId};
use domicile_store::audit::{Actor, AuditEntry};
use domicile_store::{Conn, StoreError};
use serde::Serialize;

use crate::error::LinkingError;
use crate::linking::Linking;
use crate::settings::Admission;
use crate::store::admissions;

/// A Zoom account that may link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdmittedAccount {
    /// Zoom's account id.
    pub zoom_account_id: ZoomAccountId,
    /// When it was admitted.
    pub admitted_at: Timestamp,
    /// Who admitted it: `app:<name of the API key>` or `operator`.
    pub admitted_by: String,
}

impl Linking {
    /// Admits an account. One that is admitted already stays as it is.
    pub async fn admit(
        &self,
        account: &ZoomAccountId,
        actor: &Actor,
    ) -> Result<AdmittedAccount, LinkingError> {
        let (now, by) = (self.now(), actor.as_text());
        self.parts
            .db
            .run_tx(
                "admit_account",
                async |conn: &mut Conn| -> Result<AdmittedAccount, LinkingError> {
                    if admissions::insert(conn, account, &by, now).await? {
                        AuditEntry::done(actor.clone(), "account.admit")
                            .zoom(account, None)
                            .write(conn, &self.parts.ids)
                            .await?;
                    }
                    let admitted = admissions::get(conn, account).await?;
                    Ok(admitted.ok_or(StoreError::NotFound)?)
                },
            )
            .await
    }

    /// Whether the users of this account may link here.
    pub async fn admits(&self, conn: &mut Conn, account: &ZoomAccountId) -> Result<bool, StoreError> {
        Ok(match self.parts.settings.admission {
            Admission::Open => true,
            Admission::Accounts => admissions::get(conn, account).await?.is_some(),
        })
    }

    /// The admission of an account, if it has one.
    pub async fn admission(&self, account: &ZoomAccountId) -> Result<Option<AdmittedAccount>, LinkingError> {
        let mut conn = self.parts.db.conn().await?;
        Ok(admissions::get(&mut conn, account).await?)
    }

    /// Takes an admission back; true if there was one. Links that exist stay: unlink them.
    pub async fn dismiss(&self, account: &ZoomAccountId, actor: &Actor) -> Result<bool, LinkingError> {
        self.parts
            .db
            .run_tx(
                "dismiss_account",
                async |conn: &mut Conn| -> Result<bool, LinkingError> {
                    let dismissed = admissions::delete(conn, account).await?;
                    if dismissed {
                        AuditEntry::done(actor.clone(), "account.dismiss")
                            .zoom(account, None)
                            .write(conn, &self.parts.ids)
                            .await?;
                    }
                    Ok(dismissed)
                },
            )
            .await
    }

    /// The admitted accounts by id, beginning after this one.
    pub async fn admitted(
        &self,
        after: Option<&ZoomAccountId>,
        limit: i64,
    ) -> Result<Vec<AdmittedAccount>, LinkingError> {
        Ok(admissions::list(&mut *self.parts.db.conn().await?, after, limit).await?)
    }

    /// Whether this account may link now.
    pub(crate) async fn may_link(&self, account: &ZoomAccountId) -> Result<bool, LinkingError> {
        // An open region asks the database nothing.
        if self.parts.settings.admission == Admission::Open {
            return Ok(true);
        }
        Ok(self.admits(&mut *self.parts.db.conn().await?, account).await?)
    }
}
