//! What the roof chooses, and what it does not.

use std::time::Duration;

/// Messages that did not change for a month are deleted here, while Zoom keeps its own: nobody edits what is older, and an
/// `Idempotency-Key` is used again within hours. People who were silent for so long are forgotten.
pub(crate) const RETENTION: Duration = Duration::from_hours(30 * 24);

/// The region's bot.
#[derive(Debug, Clone)]
pub struct ChatbotSettings {
    /// `DOMICILE_BOT_ROBOT_JID`.
    pub robot_jid: String,
}
