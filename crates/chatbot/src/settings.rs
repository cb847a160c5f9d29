//! What the roof chooses.

use std::time::Duration;

/// The region's bot.
#[derive(Debug, Clone)]
pub struct ChatbotSettings {
    /// `DOMICILE_BOT_ROBOT_JID`.
    pub robot_jid: String,
    /// Messages that did not change for so long are deleted here; Zoom keeps its own. People who were silent for so long
    /// are forgotten.
    pub retention: Duration,
}

impl ChatbotSettings {
    /// A month: nobody edits what is older, and an `Idempotency-Key` is used again within hours.
    pub const RETENTION: Duration = Duration::from_hours(30 * 24);

    /// The settings of the bot with this address.
    pub fn new(robot_jid: impl Into<String>) -> Self {
        Self {
            robot_jid: robot_jid.into(),
            retention: Self::RETENTION,
        }
    }
}
