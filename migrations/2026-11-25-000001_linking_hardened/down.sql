ALTER TABLE connect_sessions DROP COLUMN replace_existing;
DROP TABLE admitted_accounts;
DROP TABLE audit_entries;
DROP FUNCTION audit_entries_are_written_once();
