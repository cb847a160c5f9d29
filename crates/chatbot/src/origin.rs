//! What a message is said for: there is one message for each.

use std::fmt;

use domicile_kernel::{BotMessageId, EventId, InboxId, RecordingId};

/// The reason of a message. Whoever writes a second one with the same reason writes nothing.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// A request of the app's with an `Idempotency-Key`.
    pub fn api(key_name: &str, idempotency_key: &str) -> Self {
        Self(format!("api:{key_name}:{idempotency_key}"))
    }

    /// A request of the app's without one: each makes a message.
    pub fn request(id: BotMessageId) -> Self {
        Self(format!("request:{id}"))
    }

    /// A command or an interaction that the region answers itself.
    pub fn command(inbox: InboxId) -> Self {
        Self(format!("command:{inbox}"))
    }

    /// The app's answer in its response to an event.
    pub fn reply(event: EventId) -> Self {
        Self(format!("reply:{event}"))
    }

    /// How far the fetching of a recording has come.
    pub fn progress(recording: RecordingId) -> Self {
        Self(format!("progress:{recording}"))
    }

    /// As the row holds it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The app's own key may hold anything: only the kind is shown.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.0.split(':').next().unwrap_or_default();
        write!(f, "Origin({kind}:...)")
    }
}
