//! One id type for each entity, so that ids of different things never mix.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes an id that was made before, such as one read from a row.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The id as the database and the wire hold it.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }
    )+};
}

ids! {
    /// One attempt to link, from the app's request to its end.
    ConnectSessionId
    /// A link between a subject and a Zoom user or account.
    LinkId
    /// A row of the inbox: one thing that Zoom sent.
    InboxId
    /// One meeting instance's recording, as one link sees it.
    RecordingId
    /// One file of a recording. Zoom's own name for it is a [`crate::ZoomFileId`].
    FileId
    /// What the app is told, once.
    EventId
    /// A unit of background work.
    JobId
    /// The fencing token of one lease, of a job or of a grant.
    LeaseToken
    /// One worker process; random at each start, never a host name.
    WorkerId
    /// A data key of the vault.
    KeyId
    /// An ordered queue of events: a link's, or a connect session's before there is a link.
    MailboxId
    /// An entry of the audit.
    AuditId
    /// A message of the bot's. Zoom's own name for it is another one.
    BotMessageId
}

impl From<LinkId> for MailboxId {
    fn from(link: LinkId) -> Self {
        Self(link.0)
    }
}

impl From<ConnectSessionId> for MailboxId {
    fn from(session: ConnectSessionId) -> Self {
        Self(session.0)
    }
}
