ALTER TABLE links DROP COLUMN reauthorization_reason;

DROP INDEX grants_troubled;
ALTER TABLE grants
    DROP CONSTRAINT grants_refresh_lease_is_whole,
    DROP COLUMN state,
    DROP COLUMN refresh_lease_token,
    DROP COLUMN refresh_lease_expires_at,
    DROP COLUMN refresh_started_at,
    DROP COLUMN refresh_failures,
    DROP COLUMN refresh_not_before,
    DROP COLUMN last_used_at;
