-- What the region's Team Chat bot says, and whom it knows there.

CREATE TABLE bot_messages (
    id uuid PRIMARY KEY,
    origin text NOT NULL CHECK (octet_length(origin) BETWEEN 1 AND 600),
    request_sealed bytea NOT NULL,
    zoom_account_id text NOT NULL,
    link_id uuid REFERENCES links (id) ON DELETE CASCADE,
    subject text CHECK (octet_length(subject) <= 200),
    to_jid text NOT NULL,
    user_jid text,
    robot_jid text NOT NULL,
    reply_to text,
    visible_to_user text,
    is_markdown boolean NOT NULL,
    content_sealed bytea,
    callback_sealed bytea,
    callback_expires_at timestamptz,
    wanted text NOT NULL CHECK (wanted IN ('present', 'deleted')),
    wanted_revision integer NOT NULL,
    sent_revision integer NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'sending', 'sent', 'deleted', 'failed', 'unsure')),
    zoom_message_id text,
    error_class text,
    traceparent text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT bot_messages_one_per_origin UNIQUE (origin),
    CONSTRAINT bot_messages_subject_has_link CHECK ((subject IS NULL) = (link_id IS NULL)),
    CONSTRAINT bot_messages_callback_ends CHECK ((callback_sealed IS NULL) = (callback_expires_at IS NULL)),
    CONSTRAINT bot_messages_content_while_wanted CHECK (content_sealed IS NOT NULL OR wanted = 'deleted'),
    CONSTRAINT bot_messages_sent_follows_wanted CHECK (sent_revision BETWEEN 0 AND wanted_revision),
    CONSTRAINT bot_messages_trouble_has_class CHECK (error_class IS NOT NULL OR state NOT IN ('failed', 'unsure'))
);
CREATE INDEX bot_messages_by_link ON bot_messages (link_id) WHERE link_id IS NOT NULL;
CREATE INDEX bot_messages_by_user ON bot_messages (zoom_account_id, user_jid) WHERE user_jid IS NOT NULL;
CREATE INDEX bot_messages_by_age ON bot_messages (updated_at);
COMMENT ON TABLE bot_messages IS 'What the bot says: what is wanted of each message, and how far Zoom has come with it.';
COMMENT ON COLUMN bot_messages.id IS 'The id that the app knows.';
COMMENT ON COLUMN bot_messages.origin IS 'What it was said for, such as api: with the name of the API key and the Idempotency-Key; there is one message for each.';
COMMENT ON COLUMN bot_messages.request_sealed IS 'SHA-256 of the request for it, sealed: tells a repetition from another request with the same origin.';
COMMENT ON COLUMN bot_messages.zoom_account_id IS 'The Zoom account in which it is said; the lane of its job, and whose key seals it.';
COMMENT ON COLUMN bot_messages.link_id IS 'The link that it is about; null where none is known.';
COMMENT ON COLUMN bot_messages.subject IS 'Whom of the app''s it is about; null where there is no link.';
COMMENT ON COLUMN bot_messages.to_jid IS 'Zoom''s address of the channel or user that gets it.';
COMMENT ON COLUMN bot_messages.user_jid IS 'Zoom''s address of the user on whose behalf it is said; null where none is known.';
COMMENT ON COLUMN bot_messages.robot_jid IS 'Zoom''s address of the bot.';
COMMENT ON COLUMN bot_messages.reply_to IS 'Zoom''s id of the message that it answers; null where it stands alone.';
COMMENT ON COLUMN bot_messages.visible_to_user IS 'The Zoom user who alone sees it in a channel; null where all do.';
COMMENT ON COLUMN bot_messages.is_markdown IS 'Whether Zoom reads its texts as Markdown.';
COMMENT ON COLUMN bot_messages.content_sealed IS 'The newest content, sealed; null once it shall be deleted.';
COMMENT ON COLUMN bot_messages.callback_sealed IS 'The URL and token by which Zoom lets the bot answer once, sealed; null where there was none or it was used.';
COMMENT ON COLUMN bot_messages.callback_expires_at IS 'When that ends.';
COMMENT ON COLUMN bot_messages.wanted IS 'present: it shall be at Zoom with the newest content; deleted: it shall not.';
COMMENT ON COLUMN bot_messages.wanted_revision IS 'Counts the contents that were wanted, from 1.';
COMMENT ON COLUMN bot_messages.sent_revision IS 'The content that Zoom has; 0 before the first.';
COMMENT ON COLUMN bot_messages.state IS 'pending: not at Zoom yet; sending: the first send has begun; sent: Zoom has it; deleted: it is not there any more; failed: what is wanted will not come to be; unsure: it was sent, no answer came, and it is not sent again.';
COMMENT ON COLUMN bot_messages.zoom_message_id IS 'Zoom''s id, by which it is edited and deleted; null before Zoom named one.';
COMMENT ON COLUMN bot_messages.error_class IS 'The class of the last failure; null where there is none.';
COMMENT ON COLUMN bot_messages.traceparent IS 'The trace in which it was wanted (W3C Trace Context).';
COMMENT ON COLUMN bot_messages.created_at IS 'When it was first wanted.';
COMMENT ON COLUMN bot_messages.updated_at IS 'When it changed last; old ones are deleted.';

CREATE TABLE bot_people (
    zoom_account_id text NOT NULL,
    zoom_user_id text NOT NULL,
    user_jid text NOT NULL,
    robot_jid text NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (zoom_account_id, zoom_user_id)
);
CREATE INDEX bot_people_by_age ON bot_people (seen_at);
COMMENT ON TABLE bot_people IS 'The Zoom users who spoke to the bot, with their addresses. No names.';
COMMENT ON COLUMN bot_people.zoom_account_id IS 'The user''s account.';
COMMENT ON COLUMN bot_people.zoom_user_id IS 'Zoom''s user id, as Zoom writes it.';
COMMENT ON COLUMN bot_people.user_jid IS 'The user''s address in Team Chat.';
COMMENT ON COLUMN bot_people.robot_jid IS 'The bot''s address, as the user''s client knows it.';
COMMENT ON COLUMN bot_people.seen_at IS 'When the user was heard of last; forgotten after a while.';
