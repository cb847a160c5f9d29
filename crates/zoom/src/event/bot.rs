//! What is said to the Team Chat bot (<https://developers.zoom.us/docs/api/chatbot/events/>).

mod parse;

use domicile_kernel::{Secret, Timestamp, ZoomAccountId, ZoomUserId};
use serde_json::Value;

/// Zoom's names of the events that [`BotEvent`] reads as something of their own; all others are [`Said::Other`].
pub const BOT_EVENT_TYPES: &[&str] = &[
    "bot_installed",
    "bot_notification",
    "interactive_message_actions",
    "interactive_message_select",
    "interactive_message_editable",
    "interactive_message_fields_editable",
    "chat_message.submit",
    "team_chat.app_mention",
    "team_chat.channel_message_posted",
    "team_chat.dm_message_posted",
    "team_chat.link_shared",
];

/// What somebody said or did to the bot. It has no `Debug`: nearly all of it is personal data.
pub struct BotEvent {
    /// Zoom's name for it.
    pub event_type: String,
    /// The account in which it was said.
    pub account_id: ZoomAccountId,
    /// Who said it.
    pub user_id: Option<ZoomUserId>,
    /// The speaker's JID, where the event names one; `team_chat.*` events do not.
    pub user_jid: Option<String>,
    /// The speaker's name.
    pub user_name: Option<String>,
    /// Whether the speaker has authorized the app, where Zoom says so: newer events have `userStatus`.
    pub user_status: Option<String>,
    /// Whether the speaker belongs to another account.
    pub by_external_user: bool,
    /// The bot, where the event names it.
    pub robot_jid: Option<String>,
    /// Where it was said; installing happens nowhere.
    pub place: Option<Place>,
    /// The message that it is about or that it is.
    pub message_id: Option<String>,
    /// The message at the head of the thread, where it was said in one.
    pub thread_id: Option<String>,
    /// When it was said.
    pub at: Option<Timestamp>,
    /// A one-time way to answer without the chatbot token.
    pub callback: Option<BotCallback>,
    /// What was said or done.
    pub said: Said,
}

/// A conversation.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// By its JID, in exactly the form in which an answer names it (`toJid`).
    Jid {
        /// The JID.
        to_jid: String,
        /// The channel's name, or the other person's.
        name: Option<String>,
    },
    /// By a channel's id, as `team_chat.*` events have it.
    Channel {
        /// The id.
        id: String,
        /// Its name.
        name: Option<String>,
    },
    /// With one person, who is not the bot.
    Contact {
        /// The other person's id.
        id: String,
    },
}

impl Place {
    /// Whether more people than the speaker may read what is said there. A JID of a channel has its host among the
    /// conferences; what cannot be told counts as public.
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Jid { to_jid, .. } => {
                let address = to_jid.split('/').next().unwrap_or_default();
                address
                    .split_once('@')
                    .is_none_or(|(_, host)| host.starts_with("conference."))
            }
            Self::Channel { .. } | Self::Contact { .. } => true,
        }
    }
}

/// Where one answer may be posted, within 30 minutes, and what allows it. Both are credentials.
pub struct BotCallback {
    /// `callback_url`; its host is checked before it is called.
    pub url: Secret<String>,
    /// `callback_token`.
    pub token: Secret<String>,
}

/// What was said or done.
pub enum Said {
    /// The bot was installed, and its welcome message is ours to write.
    Installed,
    /// The app was removed.
    Deauthorized,
    /// `bot_notification`: a command.
    Command {
        /// Everything after the slash command, or what was written in the conversation with the bot.
        text: String,
        /// Newer events bring it; it opens forms.
        trigger_id: Option<String>,
    },
    /// `interactive_message_actions`: a button.
    Action {
        /// What stands on it.
        text: String,
        /// What it means.
        value: String,
    },
    /// `interactive_message_select`: what was chosen.
    Selection {
        /// The meanings of what was chosen, in order.
        values: Vec<String>,
    },
    /// `interactive_message_editable`: a text was changed.
    TextEdit {
        /// The text before.
        from: String,
        /// The text after.
        to: String,
    },
    /// `interactive_message_fields_editable`: a field was changed.
    FieldEdit {
        /// The field.
        key: String,
        /// Its value before.
        from: String,
        /// Its value after.
        to: String,
    },
    /// `chat_message.submit`: a form was handed in.
    Submission {
        /// `submit_items`, as Zoom wrote them.
        items: Value,
    },
    /// `team_chat.app_mention`: the bot was named in a message.
    Mention(Message),
    /// `team_chat.channel_message_posted` and `team_chat.dm_message_posted`.
    Posted(Message),
    /// `team_chat.link_shared`: a link to a domain of the app.
    LinkShared {
        /// The link.
        link: String,
        /// With it the link can be unfurled.
        trigger_id: String,
    },
    /// An event that has no reader here yet, as Zoom wrote it.
    Other {
        /// `payload`.
        payload: Value,
    },
}

/// A message that people wrote.
pub struct Message {
    /// The text.
    pub text: String,
    /// `files`, as Zoom wrote them; null where there are none.
    pub files: Value,
    /// `rich_text`, as Zoom wrote it; null where there is none.
    pub rich_text: Value,
}
