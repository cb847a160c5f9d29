-- Whom the region's processes talked to, for the evidence that nothing left the region.

CREATE TABLE egress_contacts (
    hour timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('let_out', 'refused')),
    host text NOT NULL CHECK (octet_length(host) BETWEEN 0 AND 253),
    port integer NOT NULL CHECK (port BETWEEN 0 AND 65535),
    purpose text NOT NULL,
    reason text NOT NULL,
    calls bigint NOT NULL CHECK (calls >= 0),
    failed bigint NOT NULL CHECK (failed >= 0),
    sent_bytes bigint NOT NULL CHECK (sent_bytes >= 0),
    received_bytes bigint NOT NULL CHECK (received_bytes >= 0),
    PRIMARY KEY (hour, outcome, host, port, purpose, reason),
    CONSTRAINT egress_contacts_refused_has_reason CHECK ((reason <> '') = (outcome = 'refused'))
) WITH (fillfactor = 70);
COMMENT ON TABLE egress_contacts IS
    'Every outside host that the region''s processes called through the fence, and those that the fence refused, hour by hour.';
COMMENT ON COLUMN egress_contacts.hour IS 'The beginning of the hour in which it was written down; a process writes every minute.';
COMMENT ON COLUMN egress_contacts.outcome IS 'let_out: a setting allows the host; refused: none does.';
COMMENT ON COLUMN egress_contacts.host IS 'The host''s name or address; (others) for refused ones beyond a bound.';
COMMENT ON COLUMN egress_contacts.port IS 'Its port; 0 for refused calls.';
COMMENT ON COLUMN egress_contacts.purpose IS 'What the client was for, such as zoom_api; empty for refused calls.';
COMMENT ON COLUMN egress_contacts.reason IS 'Why the fence refused; empty for calls that it let out.';
COMMENT ON COLUMN egress_contacts.calls IS 'How many calls.';
COMMENT ON COLUMN egress_contacts.failed IS 'How many of them had no answer.';
COMMENT ON COLUMN egress_contacts.sent_bytes IS 'The size of the bodies that were sent, in bytes.';
COMMENT ON COLUMN egress_contacts.received_bytes IS 'The size of the bodies that were received, in bytes.';
