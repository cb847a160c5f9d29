-- Grants get their own lease, their state and their schedule; links say why they need a new authorization.

ALTER TABLE grants
    ADD COLUMN state text NOT NULL DEFAULT 'fresh' CHECK (state IN ('fresh', 'unsure', 'ended')),
    ADD COLUMN refresh_lease_token uuid,
    ADD COLUMN refresh_lease_expires_at timestamptz,
    ADD COLUMN refresh_started_at timestamptz,
    ADD COLUMN refresh_failures integer NOT NULL DEFAULT 0 CHECK (refresh_failures >= 0),
    ADD COLUMN refresh_not_before timestamptz,
    ADD COLUMN last_used_at timestamptz,
    ADD CONSTRAINT grants_refresh_lease_is_whole
        CHECK ((refresh_lease_token IS NULL) = (refresh_lease_expires_at IS NULL));
CREATE INDEX grants_troubled ON grants (state) WHERE state <> 'fresh';
COMMENT ON COLUMN grants.state IS
    'fresh: the refresh token is Zoom''s latest; unsure: an answer was lost, so Zoom may have replaced it; ended: Zoom refused it.';
COMMENT ON COLUMN grants.refresh_lease_token IS 'Who may ask Zoom for the next pair; null while nobody does.';
COMMENT ON COLUMN grants.refresh_lease_expires_at IS 'When others may ask.';
COMMENT ON COLUMN grants.refresh_started_at IS
    'When the request under way was begun; left behind by a process that died, whose answer is lost.';
COMMENT ON COLUMN grants.refresh_failures IS 'How many refreshes failed since the last one that succeeded.';
COMMENT ON COLUMN grants.refresh_not_before IS 'Zoom is not asked again before this; null when it may be asked at once.';
COMMENT ON COLUMN grants.last_used_at IS
    'When the present access token was handed out for the first time, or a former one; null when none ever was.';

ALTER TABLE links
    ADD COLUMN reauthorization_reason text CHECK (reauthorization_reason IN ('user_gone', 'app_disabled', 'revoked',
        'refresh_token_expired', 'lost_rotation', 'invalid_grant', 'no_refresh_token'));
COMMENT ON COLUMN links.reauthorization_reason IS
    'Why it needs a new authorization; it says nothing while the status is another, because older versions do not clear it.';
