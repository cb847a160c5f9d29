-- The inbox is written in batches, in the order of events; bodies are compressed; silence is noticed.

-- A row with its body stays on its page up to 8 KB: moved out, a body costs two to five more rows and index entries.
ALTER TABLE inbox SET (toast_tuple_target = 8160);
ALTER TABLE inbox ADD COLUMN body_encoding text NOT NULL DEFAULT 'identity'
    CHECK (body_encoding IN ('identity', 'zstd-1'));
COMMENT ON COLUMN inbox.body_encoding IS
    'How the body was coded before it was sealed. identity: not at all; zstd-1: Zstandard with the first dictionary.';
COMMENT ON COLUMN inbox.digest IS
    'Tells a duplicate, with the endpoint: the event''s time in milliseconds (6 bytes), then 26 bytes of the SHA-256 of the raw body. Time first, so that new entries lie together in the index.';
COMMENT ON COLUMN inbox.body_size_bytes IS 'The size of the raw body, before coding and sealing.';

CREATE TABLE zoom_sightings (
    endpoint text NOT NULL CHECK (endpoint IN ('events', 'bot')),
    kind text NOT NULL CHECK (kind IN ('challenge', 'event')),
    zoom_account_id text NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (endpoint, kind, zoom_account_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE zoom_sightings IS
    'When Zoom was last heard of. Zoom disables a subscription after six challenges in vain and says so to the app''s owner only.';
COMMENT ON COLUMN zoom_sightings.endpoint IS 'Where it was heard.';
COMMENT ON COLUMN zoom_sightings.kind IS 'challenge: the endpoint was asked to prove itself; event: an event was kept.';
COMMENT ON COLUMN zoom_sightings.zoom_account_id IS 'The account of the events; empty for challenges and for events that name none.';
COMMENT ON COLUMN zoom_sightings.last_at IS 'The latest time; written some seconds late.';
