-- Dead letters can be replayed, and those of an unknown schema are found by the
-- deployment that they speak of.

-- +goose Up

ALTER TABLE dead_letter ADD COLUMN deployment TEXT NOT NULL DEFAULT '';        -- where it could be read
ALTER TABLE dead_letter ADD COLUMN outcome TEXT NOT NULL DEFAULT '';           -- of the last replay; empty: never replayed
ALTER TABLE dead_letter ADD COLUMN outcome_error TEXT NOT NULL DEFAULT '';     -- why it was refused again
ALTER TABLE dead_letter ADD COLUMN outcome_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead_letter ADD COLUMN replays INTEGER NOT NULL DEFAULT 0;
CREATE INDEX dead_letter_deployment ON dead_letter (deployment) WHERE deployment <> '';
