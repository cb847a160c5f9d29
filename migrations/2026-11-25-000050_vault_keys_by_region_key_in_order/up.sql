-- A rotation reads the data keys of one region key in the order of their ids, batch by batch.
CREATE INDEX vault_keys_by_region_key_in_order ON vault_keys (region_key_id, id) WHERE destroyed_at IS NULL;
DROP INDEX vault_keys_by_region_key;
