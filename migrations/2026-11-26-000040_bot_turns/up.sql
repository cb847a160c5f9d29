-- What is said to the bot becomes events, also where the speaker is not linked, and can be answered by naming the event.

ALTER TABLE events ALTER COLUMN subject DROP NOT NULL;
COMMENT ON COLUMN events.subject IS 'Whom it is about; null for what an unlinked Zoom user said to the bot.';
COMMENT ON COLUMN events.mailbox IS
    'The ordered queue that it belongs to: a link''s id, a connect session''s, or one made of the Zoom user who speaks to the bot.';

-- Erasing what a Zoom user said to the bot must not read every event.
CREATE INDEX events_of_nobody_by_mailbox ON events (mailbox) WHERE subject IS NULL;

CREATE TABLE bot_turns (
    event_id uuid PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE,
    zoom_account_id text NOT NULL,
    zoom_user_id text,
    robot_jid text NOT NULL,
    to_jid text NOT NULL,
    user_jid text,
    zoom_message_id text,
    reply_to text,
    callback_sealed bytea,
    callback_expires_at timestamptz,
    created_at timestamptz NOT NULL,
    CONSTRAINT bot_turns_callback_is_whole CHECK ((callback_sealed IS NULL) = (callback_expires_at IS NULL))
);
-- What people click on names a message by Zoom's id.
CREATE INDEX bot_messages_by_zoom_id ON bot_messages (zoom_message_id) WHERE zoom_message_id IS NOT NULL;
CREATE INDEX bot_turns_by_age ON bot_turns (created_at);
COMMENT ON TABLE bot_turns IS 'What was said to the bot and told to the app, kept for some days so that the app can answer it.';
COMMENT ON COLUMN bot_turns.event_id IS 'The event by which the app was told.';
COMMENT ON COLUMN bot_turns.zoom_account_id IS 'The account in which it was said.';
COMMENT ON COLUMN bot_turns.zoom_user_id IS 'Who said it; null where Zoom does not say.';
COMMENT ON COLUMN bot_turns.robot_jid IS 'The bot that it was said to.';
COMMENT ON COLUMN bot_turns.to_jid IS 'The conversation in which an answer belongs, as Zoom named it.';
COMMENT ON COLUMN bot_turns.user_jid IS 'The JID of who said it.';
COMMENT ON COLUMN bot_turns.zoom_message_id IS 'The message that was acted on, or that it is.';
COMMENT ON COLUMN bot_turns.reply_to IS 'The message at whose thread an answer belongs; null where it stands alone.';
COMMENT ON COLUMN bot_turns.callback_sealed IS 'Zoom''s one-time URL and token for an answer, sealed under the account''s key.';
COMMENT ON COLUMN bot_turns.callback_expires_at IS 'When these end.';
COMMENT ON COLUMN bot_turns.created_at IS 'When it was told.';
