-- Rows are dispatched by turns of their accounts: one account's flood must not be read to find another's row.
CREATE INDEX inbox_pending_by_account ON inbox (COALESCE(zoom_account_id, ''), due_at, id) WHERE status = 'pending';
DROP INDEX inbox_pending;
