-- States are text with CHECK, not enum types: a new value is then one short migration, old and new code
-- can run beside each other, and the spelling is the one of the API. The clock is always a bind
-- parameter, so no column has now() as its default.

CREATE TABLE vault_keys (
    id uuid PRIMARY KEY,
    zoom_account_id text,
    region_key_id text NOT NULL,
    wrapped_key bytea,
    created_at timestamptz NOT NULL,
    destroyed_at timestamptz,
    CONSTRAINT vault_keys_destroyed_is_gone CHECK ((wrapped_key IS NULL) = (destroyed_at IS NOT NULL))
);
CREATE UNIQUE INDEX vault_keys_one_live_per_account ON vault_keys (zoom_account_id) NULLS NOT DISTINCT
    WHERE destroyed_at IS NULL;
CREATE INDEX vault_keys_by_region_key ON vault_keys (region_key_id) WHERE destroyed_at IS NULL;
COMMENT ON TABLE vault_keys IS 'Data keys, one live key for each Zoom account; destroying it erases what it sealed (INV-8).';
COMMENT ON COLUMN vault_keys.id IS 'Stands in front of each ciphertext that the key sealed.';
COMMENT ON COLUMN vault_keys.zoom_account_id IS 'The Zoom account whose data it seals; null for the region''s own short-lived data.';
COMMENT ON COLUMN vault_keys.region_key_id IS 'Which of the region''s key-encryption keys wraps it.';
COMMENT ON COLUMN vault_keys.wrapped_key IS 'The data key, wrapped; null once destroyed.';
COMMENT ON COLUMN vault_keys.created_at IS 'When it was made.';
COMMENT ON COLUMN vault_keys.destroyed_at IS 'When it was destroyed, for ever.';

CREATE TABLE connect_sessions (
    id uuid PRIMARY KEY,
    subject text NOT NULL CHECK (octet_length(subject) <= 200),
    return_url text NOT NULL,
    status text NOT NULL CHECK (status IN
        ('created', 'started', 'awaiting_confirmation', 'confirming', 'completed', 'refused')),
    connect_token_hash bytea NOT NULL UNIQUE CHECK (octet_length(connect_token_hash) = 32),
    state_hash bytea UNIQUE CHECK (octet_length(state_hash) = 32),
    cookie_hash bytea CHECK (octet_length(cookie_hash) = 32),
    pkce_verifier_sealed bytea,
    code_sealed bytea,
    ticket_hash bytea UNIQUE CHECK (octet_length(ticket_hash) = 32),
    link_id uuid,
    refusal_reason text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT connect_sessions_state_only_while_started
        CHECK ((state_hash IS NOT NULL AND cookie_hash IS NOT NULL) = (status = 'started')),
    CONSTRAINT connect_sessions_code_only_while_awaiting
        CHECK ((code_sealed IS NOT NULL) = (status = 'awaiting_confirmation')),
    CONSTRAINT connect_sessions_ticket_only_with_code
        CHECK ((ticket_hash IS NOT NULL) OR (status <> 'awaiting_confirmation')),
    CONSTRAINT connect_sessions_verifier_only_while_needed
        CHECK ((pkce_verifier_sealed IS NOT NULL) = (status IN ('started', 'awaiting_confirmation'))),
    CONSTRAINT connect_sessions_completed_has_link CHECK ((link_id IS NOT NULL) = (status = 'completed')),
    CONSTRAINT connect_sessions_refused_has_reason CHECK ((refusal_reason IS NOT NULL) = (status = 'refused')),
    CONSTRAINT connect_sessions_end_has_time
        CHECK ((finished_at IS NOT NULL) = (status IN ('completed', 'refused')))
);
CREATE INDEX connect_sessions_open_by_expiry ON connect_sessions (expires_at)
    WHERE status NOT IN ('completed', 'refused');
COMMENT ON TABLE connect_sessions IS 'One attempt to link, from the app''s request to its end. No secret is kept in clear.';
COMMENT ON COLUMN connect_sessions.id IS 'The id that the app knows.';
COMMENT ON COLUMN connect_sessions.subject IS 'Whom the app wants to link; only this subject may confirm (INV-6).';
COMMENT ON COLUMN connect_sessions.return_url IS 'Where the browser goes after Zoom; checked against the configured prefixes.';
COMMENT ON COLUMN connect_sessions.status IS 'How far it has come.';
COMMENT ON COLUMN connect_sessions.connect_token_hash IS 'SHA-256 of the token in the connect URL.';
COMMENT ON COLUMN connect_sessions.state_hash IS 'SHA-256 of the OAuth state of the latest start; null once used.';
COMMENT ON COLUMN connect_sessions.cookie_hash IS 'SHA-256 of the cookie of the browser that started last; null once used.';
COMMENT ON COLUMN connect_sessions.pkce_verifier_sealed IS 'The PKCE verifier (RFC 7636), sealed; null before a start and after the exchange began.';
COMMENT ON COLUMN connect_sessions.code_sealed IS 'The authorization code, sealed, until the app confirms or the session ends.';
COMMENT ON COLUMN connect_sessions.ticket_hash IS 'SHA-256 of the ticket that the browser carries to the app; kept after the end to name a second use.';
COMMENT ON COLUMN connect_sessions.link_id IS 'The link that came of it.';
COMMENT ON COLUMN connect_sessions.refusal_reason IS 'Why it ended without a link.';
COMMENT ON COLUMN connect_sessions.created_at IS 'When the app asked.';
COMMENT ON COLUMN connect_sessions.expires_at IS 'After this nothing of it works.';
COMMENT ON COLUMN connect_sessions.started_at IS 'When a browser last opened the connect URL.';
COMMENT ON COLUMN connect_sessions.finished_at IS 'When it was completed or refused.';

CREATE TABLE links (
    id uuid PRIMARY KEY,
    subject text NOT NULL CHECK (octet_length(subject) <= 200),
    zoom_client_id text NOT NULL,
    zoom_account_id text NOT NULL,
    zoom_user_id text,
    zoom_cluster text,
    status text NOT NULL CHECK (status IN ('active', 'needs_reauthorization', 'revoked')),
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT links_revoked_has_time CHECK ((revoked_at IS NOT NULL) = (status = 'revoked'))
);
CREATE UNIQUE INDEX links_one_live_per_subject ON links (subject) WHERE status <> 'revoked';
CREATE UNIQUE INDEX links_one_live_per_zoom_user ON links (zoom_account_id, zoom_user_id) NULLS NOT DISTINCT
    WHERE status <> 'revoked';
CREATE INDEX links_by_subject ON links (subject, id);
COMMENT ON TABLE links IS 'A subject linked to a Zoom user or, for an organisation, to a Zoom account.';
COMMENT ON COLUMN links.id IS 'The id that the app knows.';
COMMENT ON COLUMN links.subject IS 'Whom the app linked.';
COMMENT ON COLUMN links.zoom_client_id IS 'The Marketplace app that was authorized.';
COMMENT ON COLUMN links.zoom_account_id IS 'Zoom''s account id; routes events (INV-7).';
COMMENT ON COLUMN links.zoom_user_id IS 'Zoom''s user id; null when the link is to the whole account.';
COMMENT ON COLUMN links.zoom_cluster IS 'The home cluster that the token answer named, such as eu; null where Zoom named none.';
COMMENT ON COLUMN links.status IS 'Whether its grant works.';
COMMENT ON COLUMN links.scopes IS 'What the user granted, as Zoom listed it.';
COMMENT ON COLUMN links.created_at IS 'When it became active for the first time.';
COMMENT ON COLUMN links.updated_at IS 'When it changed last.';
COMMENT ON COLUMN links.revoked_at IS 'When it ended.';

CREATE TABLE grants (
    link_id uuid PRIMARY KEY REFERENCES links (id) ON DELETE CASCADE,
    access_token_sealed bytea NOT NULL,
    refresh_token_sealed bytea,
    access_expires_at timestamptz NOT NULL,
    api_url text NOT NULL,
    generation bigint NOT NULL,
    refreshed_at timestamptz NOT NULL
);
COMMENT ON TABLE grants IS 'The OAuth tokens behind a link.';
COMMENT ON COLUMN grants.link_id IS 'The link that they serve.';
COMMENT ON COLUMN grants.access_token_sealed IS 'The access token, sealed.';
COMMENT ON COLUMN grants.refresh_token_sealed IS 'The refresh token, sealed; null where Zoom gave none.';
COMMENT ON COLUMN grants.access_expires_at IS 'When the access token ends.';
COMMENT ON COLUMN grants.api_url IS 'The validated base URL for API calls with this grant.';
COMMENT ON COLUMN grants.generation IS 'Counts the rotations; an update names the generation that it replaces.';
COMMENT ON COLUMN grants.refreshed_at IS 'When the tokens were received.';

CREATE TABLE inbox (
    id uuid PRIMARY KEY,
    endpoint text NOT NULL CHECK (endpoint IN ('events', 'bot')),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    status text NOT NULL CHECK (status IN ('pending', 'dispatched', 'quarantined')),
    event_type text,
    zoom_account_id text,
    zoom_user_id text,
    zoom_client_id text,
    zoom_request_id text,
    traceparent text,
    event_at timestamptz,
    received_at timestamptz NOT NULL,
    body_sealed bytea NOT NULL,
    body_size_bytes integer NOT NULL,
    attempts smallint NOT NULL,
    due_at timestamptz NOT NULL,
    finished_at timestamptz,
    reason text,
    CONSTRAINT inbox_quarantined_has_reason CHECK ((reason IS NOT NULL) OR (status <> 'quarantined')),
    CONSTRAINT inbox_end_has_time CHECK ((finished_at IS NOT NULL) = (status <> 'pending'))
);
-- Ciphertext does not compress, so TOAST must not try.
ALTER TABLE inbox ALTER COLUMN body_sealed SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX inbox_digest ON inbox (endpoint, digest);
CREATE INDEX inbox_pending ON inbox (due_at, id) WHERE status = 'pending';
CREATE INDEX inbox_quarantined ON inbox (received_at) WHERE status = 'quarantined';
COMMENT ON TABLE inbox IS 'What Zoom sent and was told 2xx for (INV-2).';
COMMENT ON COLUMN inbox.id IS 'Domicile''s own id of the delivery.';
COMMENT ON COLUMN inbox.endpoint IS 'Which of the two endpoints took it.';
COMMENT ON COLUMN inbox.digest IS 'SHA-256 of the raw body; with the endpoint it tells a duplicate.';
COMMENT ON COLUMN inbox.status IS 'pending: waits for its handlers; dispatched: handled; quarantined: kept with a reason, handled by nobody.';
COMMENT ON COLUMN inbox.event_type IS 'Zoom''s event name; null where the body named none.';
COMMENT ON COLUMN inbox.zoom_account_id IS 'The account that the body names, for routing.';
COMMENT ON COLUMN inbox.zoom_user_id IS 'The user whom the body names, for routing.';
COMMENT ON COLUMN inbox.zoom_client_id IS 'The Marketplace app that the body names, if any.';
COMMENT ON COLUMN inbox.zoom_request_id IS 'x-zm-request-id, to correlate; it is not signed and decides nothing.';
COMMENT ON COLUMN inbox.traceparent IS 'The trace in which it arrived (W3C Trace Context).';
COMMENT ON COLUMN inbox.event_at IS 'When it happened, as Zoom says.';
COMMENT ON COLUMN inbox.received_at IS 'When it arrived.';
COMMENT ON COLUMN inbox.body_sealed IS 'The raw body, sealed under its Zoom account''s key.';
COMMENT ON COLUMN inbox.body_size_bytes IS 'The size of the raw body.';
COMMENT ON COLUMN inbox.attempts IS 'How many dispatches of it failed.';
COMMENT ON COLUMN inbox.due_at IS 'Not dispatched before this.';
COMMENT ON COLUMN inbox.finished_at IS 'When it was dispatched or quarantined.';
COMMENT ON COLUMN inbox.reason IS 'Why it is in quarantine, or the class of the last failure.';

CREATE TABLE recordings (
    id uuid PRIMARY KEY,
    link_id uuid NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    zoom_account_id text NOT NULL,
    meeting_uuid text NOT NULL,
    meeting_id bigint,
    host_id text,
    topic_sealed bytea,
    started_at timestamptz,
    status text NOT NULL CHECK (status IN ('fetching', 'stored', 'incomplete')),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX recordings_one_per_meeting ON recordings (link_id, meeting_uuid);
CREATE INDEX recordings_by_link ON recordings (link_id, id DESC);
COMMENT ON TABLE recordings IS 'One meeting instance''s recording, as one link sees it.';
COMMENT ON COLUMN recordings.id IS 'The id that the app knows.';
COMMENT ON COLUMN recordings.link_id IS 'The link that it belongs to.';
COMMENT ON COLUMN recordings.zoom_account_id IS 'The account under whose key its personal data is sealed.';
COMMENT ON COLUMN recordings.meeting_uuid IS 'Zoom''s id of the meeting instance.';
COMMENT ON COLUMN recordings.meeting_id IS 'Zoom''s meeting number, which recurring instances share.';
COMMENT ON COLUMN recordings.host_id IS 'The Zoom user who hosted.';
COMMENT ON COLUMN recordings.topic_sealed IS 'The meeting''s topic, sealed.';
COMMENT ON COLUMN recordings.started_at IS 'When the recording began: the earliest start of a file, else the meeting''s.';
COMMENT ON COLUMN recordings.status IS 'Follows from its files.';
COMMENT ON COLUMN recordings.created_at IS 'When Zoom first told of it.';
COMMENT ON COLUMN recordings.updated_at IS 'When it or one of its files changed last.';

CREATE TABLE recording_files (
    id uuid PRIMARY KEY,
    recording_id uuid NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    zoom_file_id text NOT NULL,
    kind text NOT NULL,
    extension text NOT NULL,
    recording_type text,
    status text NOT NULL CHECK (status IN ('pending', 'stored', 'failed')),
    recorded_from timestamptz,
    recorded_to timestamptz,
    announced_size_bytes bigint CHECK (announced_size_bytes >= 0),
    download_url_sealed bytea,
    download_token_sealed bytea,
    attempt_key text,
    object_key text,
    size_bytes bigint CHECK (size_bytes >= 0),
    sha256 bytea CHECK (octet_length(sha256) = 32),
    content_type text,
    failure_class text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    stored_at timestamptz,
    CONSTRAINT recording_files_stored_is_whole CHECK
        ((status = 'stored') = (object_key IS NOT NULL AND size_bytes IS NOT NULL AND sha256 IS NOT NULL
            AND stored_at IS NOT NULL)),
    CONSTRAINT recording_files_stored_needs_no_credential CHECK
        (status <> 'stored' OR (download_url_sealed IS NULL AND download_token_sealed IS NULL)),
    CONSTRAINT recording_files_stored_has_no_attempt CHECK (status <> 'stored' OR attempt_key IS NULL),
    CONSTRAINT recording_files_failed_has_class CHECK ((failure_class IS NOT NULL) OR (status <> 'failed'))
);
CREATE UNIQUE INDEX recording_files_one_per_zoom_file ON recording_files (recording_id, zoom_file_id);
COMMENT ON TABLE recording_files IS 'One file of a recording.';
COMMENT ON COLUMN recording_files.id IS 'The id that the app knows.';
COMMENT ON COLUMN recording_files.recording_id IS 'The recording that it belongs to.';
COMMENT ON COLUMN recording_files.zoom_file_id IS 'Zoom''s id of the file, or the name that stands for it where Zoom gave none.';
COMMENT ON COLUMN recording_files.kind IS 'Zoom''s file_type, such as MP4 or TRANSCRIPT; new values may come.';
COMMENT ON COLUMN recording_files.extension IS 'The file name extension in lower case, without a dot.';
COMMENT ON COLUMN recording_files.recording_type IS 'Zoom''s recording_type, such as shared_screen_with_speaker_view; new values may come.';
COMMENT ON COLUMN recording_files.status IS 'Whether its bytes are in the region''s storage.';
COMMENT ON COLUMN recording_files.recorded_from IS 'When its recording began.';
COMMENT ON COLUMN recording_files.recorded_to IS 'When its recording ended.';
COMMENT ON COLUMN recording_files.announced_size_bytes IS 'The size that Zoom announced; null where it announced none.';
COMMENT ON COLUMN recording_files.download_url_sealed IS 'Where Zoom serves it, sealed; null once stored.';
COMMENT ON COLUMN recording_files.download_token_sealed IS 'The event''s download token, sealed; null once stored or where the event had none.';
COMMENT ON COLUMN recording_files.attempt_key IS 'The key that the attempt under way writes to; what a dead attempt left there is deleted by the next one.';
COMMENT ON COLUMN recording_files.object_key IS 'Its key in the object storage.';
COMMENT ON COLUMN recording_files.size_bytes IS 'The size of the stored object.';
COMMENT ON COLUMN recording_files.sha256 IS 'SHA-256 of the stored bytes, which are exactly those that Zoom served.';
COMMENT ON COLUMN recording_files.content_type IS 'The media type for serving it, which follows from its extension.';
COMMENT ON COLUMN recording_files.failure_class IS 'Why the last attempt to fetch it failed.';
COMMENT ON COLUMN recording_files.created_at IS 'When Zoom first told of it.';
COMMENT ON COLUMN recording_files.updated_at IS 'When it changed last.';
COMMENT ON COLUMN recording_files.stored_at IS 'When its bytes were committed.';

CREATE TABLE events (
    id uuid PRIMARY KEY,
    sequence bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    mailbox uuid NOT NULL,
    type text NOT NULL,
    version smallint NOT NULL,
    subject text NOT NULL,
    occurred_at timestamptz NOT NULL,
    data_sealed bytea NOT NULL,
    traceparent text,
    status text NOT NULL CHECK (status IN ('pending', 'delivered')),
    attempts integer NOT NULL,
    delivered_at timestamptz,
    CONSTRAINT events_delivered_has_time CHECK ((delivered_at IS NOT NULL) = (status = 'delivered'))
);
CREATE INDEX events_by_subject ON events (subject, sequence);
CREATE INDEX events_pending_by_mailbox ON events (mailbox, sequence) WHERE status = 'pending';
COMMENT ON TABLE events IS 'What the app is told, written in the transaction that made it true.';
COMMENT ON COLUMN events.id IS 'The event''s id, also its webhook-id; the same for every attempt.';
COMMENT ON COLUMN events.sequence IS 'The order in which a mailbox delivers, and the cursor of the list.';
COMMENT ON COLUMN events.mailbox IS 'The ordered queue that it belongs to: the link''s id.';
COMMENT ON COLUMN events.type IS 'Such as recording.stored.';
COMMENT ON COLUMN events.version IS 'The version of the shape of its data.';
COMMENT ON COLUMN events.subject IS 'Whom it is about.';
COMMENT ON COLUMN events.occurred_at IS 'When it became true.';
COMMENT ON COLUMN events.data_sealed IS 'Its data as JSON, sealed under the Zoom account''s key.';
COMMENT ON COLUMN events.traceparent IS 'The trace that made it (W3C Trace Context).';
COMMENT ON COLUMN events.status IS 'Whether the app has answered 2xx.';
COMMENT ON COLUMN events.attempts IS 'How many deliveries were tried.';
COMMENT ON COLUMN events.delivered_at IS 'When the app answered 2xx.';

CREATE TABLE delivery_attempts (
    event_id uuid NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    attempt integer NOT NULL,
    started_at timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    status_code smallint,
    error_class text,
    PRIMARY KEY (event_id, attempt),
    CONSTRAINT delivery_attempts_one_outcome CHECK ((status_code IS NULL) <> (error_class IS NULL))
);
COMMENT ON TABLE delivery_attempts IS 'Each time an event was posted to the app, and what came of it.';
COMMENT ON COLUMN delivery_attempts.event_id IS 'The event that was posted.';
COMMENT ON COLUMN delivery_attempts.attempt IS 'Counts from 1.';
COMMENT ON COLUMN delivery_attempts.started_at IS 'When the request began.';
COMMENT ON COLUMN delivery_attempts.duration_ms IS 'How long the answer took, in milliseconds.';
COMMENT ON COLUMN delivery_attempts.status_code IS 'The HTTP status of the answer; null when there was none.';
COMMENT ON COLUMN delivery_attempts.error_class IS 'Why there was no answer; null when there was one.';

CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    key text NOT NULL,
    lane text,
    status text NOT NULL CHECK (status IN ('queued', 'leased', 'quarantined')),
    again boolean NOT NULL,
    attempts integer NOT NULL,
    due_at timestamptz NOT NULL,
    lease_owner uuid,
    lease_token uuid,
    lease_expires_at timestamptz,
    last_error_class text,
    traceparent text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT jobs_unique_while_unfinished UNIQUE (kind, key),
    CONSTRAINT jobs_lease_is_whole CHECK
        ((lease_owner IS NOT NULL AND lease_token IS NOT NULL AND lease_expires_at IS NOT NULL) = (status = 'leased')
        AND (lease_owner IS NULL) = (lease_token IS NULL) AND (lease_owner IS NULL) = (lease_expires_at IS NULL)),
    CONSTRAINT jobs_quarantined_has_class CHECK ((last_error_class IS NOT NULL) OR (status <> 'quarantined'))
);
CREATE INDEX jobs_due ON jobs (kind, due_at) WHERE status = 'queued';
CREATE INDEX jobs_expiring ON jobs (kind, lease_expires_at) WHERE status = 'leased';
CREATE INDEX jobs_quarantined ON jobs (kind, updated_at) WHERE status = 'quarantined';
COMMENT ON TABLE jobs IS 'Background work that is not finished; a finished job has no row.';
COMMENT ON COLUMN jobs.id IS 'Identifies the job in logs and for operators.';
COMMENT ON COLUMN jobs.kind IS 'Which handler runs it.';
COMMENT ON COLUMN jobs.key IS 'What it is about, such as a file''s id; the handler reads everything else again.';
COMMENT ON COLUMN jobs.lane IS 'Whose trouble it shares, such as a Zoom account''s: one lane never takes all workers of a kind.';
COMMENT ON COLUMN jobs.status IS 'queued: waits for its due time; leased: a worker holds it; quarantined: spent, waits for an operator.';
COMMENT ON COLUMN jobs.again IS 'Asked for once more while leased, so it is queued again when it finishes.';
COMMENT ON COLUMN jobs.attempts IS 'How often it was leased since it last succeeded.';
COMMENT ON COLUMN jobs.due_at IS 'Not leased before this.';
COMMENT ON COLUMN jobs.lease_owner IS 'The worker process that holds it.';
COMMENT ON COLUMN jobs.lease_token IS 'The fencing token: who does not present it cannot finish, fail or release the job (INV-5).';
COMMENT ON COLUMN jobs.lease_expires_at IS 'When others may take it, unless the worker''s heartbeat moves it.';
COMMENT ON COLUMN jobs.last_error_class IS 'The class of the last failure, never its text.';
COMMENT ON COLUMN jobs.traceparent IS 'The trace that asked for it (W3C Trace Context).';
COMMENT ON COLUMN jobs.created_at IS 'When it was first asked for.';
COMMENT ON COLUMN jobs.updated_at IS 'When its state changed last.';
