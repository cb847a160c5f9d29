//! Linking's background work.

mod grant_refresh;
mod grant_revoke;
mod link_unlink;
mod session_expiry;

use std::sync::Arc;

use domicile_leases::{Handler, JobKind};

use crate::linking::Linking;
use crate::unlink::LinkEraser;

/// Renews the tokens of a link; keyed by the link's id.
pub const GRANT_REFRESH: JobKind = JobKind("grant.refresh");
/// Ends the grant of a link that has ended, at Zoom; keyed by the link's id.
pub const GRANT_REVOKE: JobKind = JobKind("grant.revoke");
/// Erases what is kept of a link that has ended; keyed by the link's id.
pub const LINK_UNLINK: JobKind = JobKind("link.unlink");
/// Ends a connect session that ran out; keyed by the session's id.
pub const SESSION_EXPIRY: JobKind = JobKind("connect_session.expire");

/// The handlers, for the roof's list. `erasers` are those of all rooms that keep something of links.
pub fn handlers(linking: &Linking, erasers: Vec<Arc<dyn LinkEraser>>) -> Vec<Arc<dyn Handler>> {
    vec![
        Arc::new(session_expiry::SessionExpiry::new(linking.clone())),
        Arc::new(grant_refresh::GrantRefresh::new(linking.clone())),
        Arc::new(grant_revoke::GrantRevoke::new(linking.clone())),
        Arc::new(link_unlink::LinkUnlink::new(linking.clone(), erasers)),
    ]
}
