-- A gap tells since when releases may be missing.

-- +goose Up

ALTER TABLE ingest_gap ADD COLUMN since INTEGER NOT NULL DEFAULT 0; -- when the last event before it was received; 0: none was
