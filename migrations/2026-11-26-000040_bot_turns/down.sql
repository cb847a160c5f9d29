DROP TABLE bot_turns;
DROP INDEX bot_messages_by_zoom_id;
DROP INDEX events_of_nobody_by_mailbox;
-- Events about nobody have no place in the older shape.
DELETE FROM events WHERE subject IS NULL;
ALTER TABLE events ALTER COLUMN subject SET NOT NULL;
COMMENT ON COLUMN events.subject IS 'Whom it is about.';
COMMENT ON COLUMN events.mailbox IS 'The ordered queue that it belongs to: the link''s id.';
