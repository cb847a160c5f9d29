CREATE INDEX inbox_pending ON inbox (due_at, id) WHERE status = 'pending';
DROP INDEX inbox_pending_by_account;
