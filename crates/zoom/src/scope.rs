//! The granular scopes that the service needs, and what is off without one of them (Zoom: OAuth scopes; webhook events).

/// A scope that the service uses, without the suffix of admin-managed apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeededScope {
    /// The name for a user-managed app; an admin-managed app's ends with `:admin`.
    pub name: &'static str,
    /// What does not work without it.
    pub disables: &'static str,
    // The classic scope that old apps have in its place.
    classic: &'static str,
}

/// Every scope that the service needs.
pub const NEEDED: [NeededScope; 5] = [
    NeededScope {
        name: "user:read:user",
        disables: "linking: Zoom does not say whose authorization it is",
        classic: "user:read",
    },
    NeededScope {
        name: "cloud_recording:read:recording",
        disables: "events about finished recordings",
        classic: "recording:read",
    },
    NeededScope {
        name: "cloud_recording:read:list_recording_files",
        disables: "fetching a recording whose event came late or without its token",
        classic: "recording:read",
    },
    NeededScope {
        name: "cloud_recording:read:list_user_recordings",
        disables: "finding recordings whose events were lost",
        classic: "recording:read",
    },
    NeededScope {
        name: "cloud_recording:read:meeting_transcript",
        disables: "asking for a transcript that was not announced",
        classic: "recording:read",
    },
];

const ADMIN: &str = ":admin";

/// The needed scopes that are not among the granted ones, without the suffix of admin-managed apps. An answer that names
/// no scope at all says nothing: Zoom leaves the member out for some seconds after an app was made.
pub fn missing(granted: &[String]) -> Vec<NeededScope> {
    if granted.is_empty() {
        return Vec::new();
    }
    let has = |wanted: &str| {
        granted
            .iter()
            .any(|scope| scope.strip_suffix(ADMIN).unwrap_or(scope) == wanted)
    };
    NEEDED
        .into_iter()
        .filter(|needed| !has(needed.name) && !has(needed.classic))
        .collect()
}

/// Who authorizes an app: each user for herself, or an administrator for the whole account. Zoom decides by the app's
/// `usage`, and the scopes of one kind never stand beside those of the other (Zoom: app manifests, `oauth_information`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// The token sees its user alone and says `me`.
    UserManaged,
    /// The token sees every user of the account.
    AdminManaged,
}

/// What kind of app granted these scopes; nothing if they do not tell.
pub fn usage(granted: &[String]) -> Option<Usage> {
    // The bot's scope has one name in both kinds.
    let mut telling = granted.iter().filter(|scope| *scope != "imchat:bot").peekable();
    telling.peek()?;
    Some(if telling.any(|scope| scope.ends_with(ADMIN)) {
        Usage::AdminManaged
    } else {
        Usage::UserManaged
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_missing_scope_is_named_with_what_it_disables() {
        let granted = scopes(&[
            "user:read:user",
            "cloud_recording:read:list_user_recordings",
            "cloud_recording:read:list_recording_files",
            "cloud_recording:read:meeting_transcript",
        ]);
        let missing = missing(&granted);
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].name, "cloud_recording:read:recording");
        assert!(missing[0].disables.contains("events"));
    }

    #[test]
    fn admin_and_classic_scopes_serve_as_well_and_silence_is_no_lack() {
        let all: Vec<_> = NEEDED
            .iter()
            .map(|needed| format!("{}:admin", needed.name))
            .collect();
        assert_eq!(missing(&all), []);
        assert_eq!(missing(&scopes(&["user:read", "recording:read"])), []);
        assert_eq!(missing(&scopes(&["user:read:admin", "recording:read:admin"])), []);
        assert_eq!(missing(&[]), []);
        assert_eq!(missing(&scopes(&["imchat:bot"])).len(), NEEDED.len());
    }

    #[test]
    fn the_kind_of_app_is_read_from_its_scopes() {
        for (granted, kind) in [
            (&["user:read:user"][..], Some(Usage::UserManaged)),
            (&["imchat:bot", "user:read:user:admin"], Some(Usage::AdminManaged)),
            (&["imchat:bot"], None),
            (&[], None),
        ] {
            assert_eq!(usage(&scopes(granted)), kind, "{granted:?}");
        }
    }
}
