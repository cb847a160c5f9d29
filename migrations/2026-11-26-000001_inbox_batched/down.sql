DROP TABLE zoom_sightings;

COMMENT ON COLUMN inbox.body_size_bytes IS 'The size of the raw body.';
COMMENT ON COLUMN inbox.digest IS 'SHA-256 of the raw body; with the endpoint it tells a duplicate.';
ALTER TABLE inbox DROP COLUMN body_encoding;
ALTER TABLE inbox RESET (toast_tuple_target);
