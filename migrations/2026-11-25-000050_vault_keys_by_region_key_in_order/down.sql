CREATE INDEX vault_keys_by_region_key ON vault_keys (region_key_id) WHERE destroyed_at IS NULL;
DROP INDEX vault_keys_by_region_key_in_order;
