//! What scopes and events have to do with each other and with the kind of app (Zoom: OAuth scopes; webhook events; app
//! manifests, `oauth_information.scopes`).

use super::Usage;

/// The scope of the Team Chat bot. It has one name in both kinds of apps, and only admin-managed ones may have it.
pub const BOT: &str = "imchat:bot";

const ADMIN: &str = ":admin";

/// What is wrong with a scope's name in an app of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeFault {
    /// A classic scope: new apps have granular ones.
    Classic,
    /// One that Zoom gives to every app by itself.
    AppOwned,
    /// An administrator's scope in a user-managed app.
    NeedsAdminManaged,
    /// A user's scope in an admin-managed app.
    NeedsUserManaged,
}

/// Judges a scope's name. A validator that sees both flavours in one app refuses it; which one is meant is for `usage` to say.
pub fn fault(scope: &str, usage: Usage) -> Option<ScopeFault> {
    if scope.starts_with("marketplace:")
        && (scope.contains("event_subscription") || scope.contains("websocket_connection"))
    {
        return Some(ScopeFault::AppOwned);
    }
    if scope == BOT {
        return (usage == Usage::UserOperation).then_some(ScopeFault::NeedsAdminManaged);
    }
    if plain(scope).split(':').count() < 3 {
        return Some(ScopeFault::Classic);
    }
    match (usage, scope.ends_with(ADMIN)) {
        (Usage::UserOperation, true) => Some(ScopeFault::NeedsAdminManaged),
        (Usage::AdminManagement, false) => Some(ScopeFault::NeedsUserManaged),
        _ => None,
    }
}

/// The name without the suffix of admin-managed apps.
pub fn plain(scope: &str) -> &str {
    scope.strip_suffix(ADMIN).unwrap_or(scope)
}

/// What an event asks of the app that wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventNeeds {
    /// Nothing: every app may have it.
    Nothing,
    /// This scope, in the flavour of the app.
    Scope(&'static str),
    /// Zoom's pages do not say, or not clearly.
    NotKnown,
    /// Zoom's validator refuses it, and a put saves it all the same.
    Refused,
}

/// What an event asks of the app that wants it.
pub fn event_needs(event: &str) -> EventNeeds {
    match event {
        "app_deauthorized" => EventNeeds::Nothing,
        "meeting.started" | "meeting.ended" => EventNeeds::Scope("meeting:read:meeting"),
        _ if event.starts_with("meeting.rtms_") || event.starts_with("rtms.concurrency_") => {
            EventNeeds::Refused
        }
        _ if event.starts_with("recording.") => EventNeeds::Scope("cloud_recording:read:recording"),
        _ if event.starts_with("user.") => EventNeeds::Scope("user:read:user"),
        _ => EventNeeds::NotKnown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_fits_the_kind_of_its_app_or_says_why_not() {
        for (scope, in_user_managed, in_admin_managed) in [
            ("user:read:user", None, Some(ScopeFault::NeedsUserManaged)),
            ("user:read:user:admin", Some(ScopeFault::NeedsAdminManaged), None),
            (BOT, Some(ScopeFault::NeedsAdminManaged), None),
            ("user:read", Some(ScopeFault::Classic), Some(ScopeFault::Classic)),
            (
                "recording:read:admin",
                Some(ScopeFault::Classic),
                Some(ScopeFault::Classic),
            ),
            (
                "marketplace:write:websocket_connection",
                Some(ScopeFault::AppOwned),
                Some(ScopeFault::AppOwned),
            ),
        ] {
            assert_eq!(fault(scope, Usage::UserOperation), in_user_managed, "{scope}");
            assert_eq!(fault(scope, Usage::AdminManagement), in_admin_managed, "{scope}");
        }
    }

    #[test]
    fn events_need_the_scopes_that_zooms_pages_name() {
        for (event, needs) in [
            (
                "recording.completed",
                EventNeeds::Scope("cloud_recording:read:recording"),
            ),
            ("meeting.ended", EventNeeds::Scope("meeting:read:meeting")),
            ("user.deactivated", EventNeeds::Scope("user:read:user")),
            ("app_deauthorized", EventNeeds::Nothing),
            ("meeting.rtms_started", EventNeeds::Refused),
            ("phone.callee_ringing", EventNeeds::NotKnown),
        ] {
            assert_eq!(event_needs(event), needs, "{event}");
        }
    }
}
