//! A link as the house and the app see it.

use domicile_kernel::state::{InvalidTransition, LinkStatus, ReauthorizationReason};
use domicile_kernel::{LinkId, Subject, Timestamp, ZoomAccountId, ZoomUserId};
use domicile_zoom::scope;
use serde::Serialize;
use serde_json::{Value, json};

/// A subject linked to a Zoom user or account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The id that the app knows.
    pub id: LinkId,
    /// Whom the app linked.
    pub subject: Subject,
    /// Zoom's account.
    pub zoom_account_id: ZoomAccountId,
    /// Zoom's user; none when the link is to the whole account.
    pub zoom_user_id: Option<ZoomUserId>,
    /// The home cluster that the token answer named.
    pub zoom_cluster: Option<String>,
    /// Whether its grant works.
    pub status: LinkStatus,
    /// Why not, while it needs a new authorization.
    pub reauthorization_reason: Option<ReauthorizationReason>,
    /// What the user granted.
    pub scopes: Vec<String>,
    /// When it became active for the first time.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// The link as the App API and events show it.
#[derive(Debug, Serialize)]
pub struct LinkView<'a> {
    id: LinkId,
    subject: &'a Subject,
    status: LinkStatus,
    reauthorization_reason: Option<ReauthorizationReason>,
    zoom: ZoomView<'a>,
    scopes: &'a [String],
    missing_scopes: Vec<MissingScope>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A scope that was not granted, with what does not work without it.
#[derive(Debug, Serialize)]
struct MissingScope {
    scope: &'static str,
    disables: &'static str,
}

#[derive(Debug, Serialize)]
struct ZoomView<'a> {
    account_id: &'a ZoomAccountId,
    user_id: Option<&'a ZoomUserId>,
    cluster: Option<&'a str>,
}

impl Link {
    /// How the app sees it.
    pub fn view(&self) -> LinkView<'_> {
        LinkView {
            id: self.id,
            subject: &self.subject,
            status: self.status,
            reauthorization_reason: self.reauthorization_reason,
            zoom: ZoomView {
                account_id: &self.zoom_account_id,
                user_id: self.zoom_user_id.as_ref(),
                cluster: self.zoom_cluster.as_deref(),
            },
            scopes: &self.scopes,
            missing_scopes: scope::missing(&self.scopes)
                .into_iter()
                .map(|needed| MissingScope {
                    scope: needed.name,
                    disables: needed.disables,
                })
                .collect(),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    /// The `data` of an event about it.
    pub(crate) fn event_data(&self) -> Value {
        match self.reauthorization_reason {
            Some(reason) => json!({ "link": self.view(), "reason": reason }),
            None => json!({ "link": self.view() }),
        }
    }

    /// A new authorization by the same Zoom user.
    pub(crate) fn reauthorize(
        self,
        scopes: Vec<String>,
        cluster: Option<String>,
        now: Timestamp,
    ) -> Result<Self, InvalidTransition> {
        Ok(Self {
            status: self.status.reauthorize()?,
            reauthorization_reason: None,
            scopes,
            zoom_cluster: cluster,
            updated_at: now,
            ..self
        })
    }

    /// It ends, for good.
    pub(crate) fn revoke(self, now: Timestamp) -> Result<Self, InvalidTransition> {
        Ok(Self {
            status: self.status.revoke()?,
            reauthorization_reason: None,
            updated_at: now,
            ..self
        })
    }

    /// Zoom ended the grant.
    pub(crate) fn lose_grant(
        self,
        reason: ReauthorizationReason,
        now: Timestamp,
    ) -> Result<Self, InvalidTransition> {
        Ok(Self {
            status: self.status.lose_grant()?,
            reauthorization_reason: Some(reason),
            updated_at: now,
            ..self
        })
    }
}
