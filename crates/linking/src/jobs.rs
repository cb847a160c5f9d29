//! Linking's background work.

mod grant_refresh;
mod session_expiry;

use std::sync::Arc;

use domicile_leases::{Handler, JobKind};

use crate::linking::Linking;

/// Renews the tokens of a link; keyed by the link's id.
pub const GRANT_REFRESH: JobKind = JobKind("grant.refresh");
/// Ends a connect session that ran out; keyed by the session's id.
pub const SESSION_EXPIRY: JobKind = JobKind("connect_session.expire");

/// The handlers, for the roof's list.
pub fn handlers(linking: &Linking) -> Vec<Arc<dyn Handler>> {
    vec![
        Arc::new(session_expiry::SessionExpiry::new(linking.clone())),
        Arc::new(grant_refresh::GrantRefresh::new(linking.clone())),
    ]
}
