ALTER TABLE inbox
    ADD CONSTRAINT inbox_endpoint_check CHECK (endpoint IN ('events', 'bot')),
    ADD CONSTRAINT inbox_digest_check CHECK (octet_length(digest) = 32),
    ADD CONSTRAINT inbox_status_check CHECK (status IN ('pending', 'dispatched', 'quarantined')),
    ADD CONSTRAINT inbox_body_encoding_check CHECK (body_encoding IN ('identity', 'zstd-1')),
    ADD CONSTRAINT inbox_quarantined_has_reason CHECK ((reason IS NOT NULL) OR (status <> 'quarantined')),
    ADD CONSTRAINT inbox_end_has_time CHECK ((finished_at IS NOT NULL) = (status <> 'pending')),
    DROP CONSTRAINT inbox_row_is_sound;
DROP FUNCTION inbox_row_is_sound;
