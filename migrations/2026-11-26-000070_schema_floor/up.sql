-- The oldest code that this schema bears. Code that does not know the migrations above the floor runs on them all the same;
-- a migration that takes something away raises the floor to the one whose code no longer needs it.

CREATE TABLE schema_floor (
    singleton boolean PRIMARY KEY CHECK (singleton),
    version text NOT NULL
);
COMMENT ON TABLE schema_floor IS 'How old the code may be that works with this schema.';
COMMENT ON COLUMN schema_floor.singleton IS 'True: there is one row.';
COMMENT ON COLUMN schema_floor.version IS 'A migration that all code must know which works with this schema.';
INSERT INTO schema_floor (singleton, version) VALUES (true, '20261126000070');
