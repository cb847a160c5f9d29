CREATE TABLE audit_entries (
    id uuid PRIMARY KEY,
    sequence bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    occurred_at timestamptz NOT NULL,
    actor text NOT NULL CHECK (actor ~ '^(app:.{1,64}|browser|operator|service|zoom)$'),
    action text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('done', 'refused')),
    reason text,
    subject text CHECK (octet_length(subject) <= 200),
    connect_session_id uuid,
    link_id uuid,
    zoom_account_id text,
    zoom_user_id text,
    CONSTRAINT audit_entries_refused_has_reason CHECK ((reason IS NOT NULL) OR (outcome <> 'refused'))
);
CREATE INDEX audit_entries_by_subject ON audit_entries (subject, sequence) WHERE subject IS NOT NULL;
CREATE INDEX audit_entries_by_link ON audit_entries (link_id, sequence) WHERE link_id IS NOT NULL;
COMMENT ON TABLE audit_entries IS 'Who did what to links, when, and what came of it, written in the transaction that did it. Ids alone, no personal data.';
COMMENT ON COLUMN audit_entries.id IS 'The entry''s id.';
COMMENT ON COLUMN audit_entries.sequence IS 'The order of writing, and the cursor of the list.';
COMMENT ON COLUMN audit_entries.occurred_at IS 'When it happened.';
COMMENT ON COLUMN audit_entries.actor IS 'Who did it: app: with the name of the API key, browser, operator, service, zoom.';
COMMENT ON COLUMN audit_entries.action IS 'What was done or tried, such as link.activate.';
COMMENT ON COLUMN audit_entries.outcome IS 'done or refused.';
COMMENT ON COLUMN audit_entries.reason IS 'Why it was refused, or why it was done where there is more than one cause.';
COMMENT ON COLUMN audit_entries.subject IS 'Whom of the app''s it is about.';
COMMENT ON COLUMN audit_entries.connect_session_id IS 'The connect session that it is about.';
COMMENT ON COLUMN audit_entries.link_id IS 'The link that it is about.';
COMMENT ON COLUMN audit_entries.zoom_account_id IS 'The Zoom account that it is about.';
COMMENT ON COLUMN audit_entries.zoom_user_id IS 'The Zoom user that it is about.';

-- An entry that could be rewritten would prove nothing.
CREATE FUNCTION audit_entries_are_written_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an audit entry is written once and never changed';
END
$$;
CREATE TRIGGER audit_entries_are_written_once BEFORE UPDATE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_entries_are_written_once();

CREATE TABLE admitted_accounts (
    zoom_account_id text PRIMARY KEY CHECK (octet_length(zoom_account_id) BETWEEN 1 AND 100),
    admitted_at timestamptz NOT NULL,
    admitted_by text NOT NULL
);
COMMENT ON TABLE admitted_accounts IS 'The Zoom accounts that may link here where the region''s admission is by account.';
COMMENT ON COLUMN admitted_accounts.zoom_account_id IS 'Zoom''s account id.';
COMMENT ON COLUMN admitted_accounts.admitted_at IS 'When it was admitted.';
COMMENT ON COLUMN admitted_accounts.admitted_by IS 'Who admitted it: app: with the name of the API key, or operator.';

-- The default serves the release before, which does not know the column.
ALTER TABLE connect_sessions ADD COLUMN replace_existing boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN connect_sessions.replace_existing IS 'Whether the app allows that links which stand in the way end.';
