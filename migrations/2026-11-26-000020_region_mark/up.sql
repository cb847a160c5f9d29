-- The database and the region's keys say whose they are, from the first start on (INV-1).

CREATE TABLE region_mark (
    singleton boolean PRIMARY KEY CHECK (singleton),
    region_id text NOT NULL CHECK (region_id <> ''),
    marked_at timestamptz NOT NULL
);
COMMENT ON TABLE region_mark IS 'Whose database this is: one row, written at the first start and never changed.';
COMMENT ON COLUMN region_mark.singleton IS 'Always true, so that there is one row at most.';
COMMENT ON COLUMN region_mark.region_id IS 'The region; a process of another one refuses to start.';
COMMENT ON COLUMN region_mark.marked_at IS 'When the first process started on this database.';

CREATE TABLE region_key_marks (
    region_key_id text PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    region_id_sealed bytea NOT NULL,
    marked_at timestamptz NOT NULL
);
COMMENT ON TABLE region_key_marks IS
    'Whose each of the region''s key-encryption keys is, said in a way that nobody without the key can forge.';
COMMENT ON COLUMN region_key_marks.region_key_id IS 'The key''s id in DOMICILE_VAULT_KEYS.';
COMMENT ON COLUMN region_key_marks.id IS 'What the key authenticates with the mark, as it does with the id of a data key.';
COMMENT ON COLUMN region_key_marks.region_id_sealed IS 'The region''s id, padded to the size of a data key, wrapped by this key.';
COMMENT ON COLUMN region_key_marks.marked_at IS 'When a process first started with this key.';
