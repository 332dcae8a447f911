-- The whole state of Assay but for spools and bundles. Instants are nanoseconds
-- since the Unix epoch, 0 where there is none. "n" and "id" columns are arrival
-- order and are never reused.

-- +goose Up

-- Marks the file as ours ("Asay"), so that another program's database is refused.
PRAGMA application_id = 1098080633;

-- Who may take events from a partition, and how far it was read.
CREATE TABLE partition_lease (
    topic       TEXT    NOT NULL,
    partition   INTEGER NOT NULL,
    owner       TEXT    NOT NULL,
    epoch       INTEGER NOT NULL,
    topic_id    TEXT    NOT NULL,
    next_offset INTEGER,                       -- NULL: never stored
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;

-- Every event that was accepted, once.
CREATE TABLE inbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    source       TEXT    NOT NULL,
    event_id     TEXT    NOT NULL,
    content_hash TEXT    NOT NULL,
    topic        TEXT    NOT NULL,
    partition    INTEGER NOT NULL,
    offset       INTEGER NOT NULL,
    key          BLOB,
    headers      TEXT    NOT NULL,             -- JSON
    raw          BLOB,
    event        TEXT    NOT NULL,             -- JSON of analysis.Event; empty once retention has taken the content
    received_at  INTEGER NOT NULL,
    parked_until INTEGER NOT NULL DEFAULT 0,   -- an orphan that waits for its deployment
    handled_at   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (source, event_id)
) STRICT;
CREATE INDEX inbox_unhandled ON inbox (id) WHERE handled_at = 0;
CREATE INDEX inbox_handled ON inbox (handled_at) WHERE handled_at > 0;

-- What was refused, and why.
CREATE TABLE dead_letter (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    reason       TEXT    NOT NULL,
    error        TEXT    NOT NULL,
    topic        TEXT    NOT NULL,
    partition    INTEGER NOT NULL,
    offset       INTEGER NOT NULL,
    last_offset  INTEGER NOT NULL,
    key          BLOB,
    value        BLOB,
    headers      TEXT    NOT NULL,
    event_source TEXT    NOT NULL,
    event_id     TEXT    NOT NULL,
    content_hash TEXT    NOT NULL DEFAULT '',
    at           INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_letter_reason ON dead_letter (reason, event_id);
CREATE INDEX dead_letter_at ON dead_letter (at);
-- A forgery that is delivered a thousand times is one dead letter.
CREATE UNIQUE INDEX dead_letter_conflict ON dead_letter (event_source, event_id, content_hash) WHERE content_hash <> '';

-- Offsets that were gone before they could be read.
CREATE TABLE ingest_gap (
    topic       TEXT    NOT NULL,
    partition   INTEGER NOT NULL,
    from_offset INTEGER NOT NULL,
    to_offset   INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (topic, partition, from_offset, to_offset)
) STRICT, WITHOUT ROWID;

-- One attempt at judging one deployment. What changes every second (positions) is
-- small and stands here; what is large stands in tables of its own.
CREATE TABLE validation (
    n            INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL UNIQUE,
    deployment   TEXT    NOT NULL,             -- analysis.DeploymentID
    attempt      INTEGER NOT NULL,
    environment  TEXT    NOT NULL,
    namespace    TEXT    NOT NULL,
    service      TEXT    NOT NULL,
    version      TEXT    NOT NULL,
    mode         TEXT    NOT NULL,
    started_at   INTEGER NOT NULL,
    body         TEXT    NOT NULL,             -- JSON of analysis.Deployment
    accepted_at  INTEGER NOT NULL,
    inbox        INTEGER NOT NULL,
    phase        TEXT    NOT NULL CHECK (phase IN ('planning', 'judging', 'final')),
    seq          INTEGER NOT NULL,
    spool_bytes  INTEGER NOT NULL,
    looks        INTEGER NOT NULL,
    poison       INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX validation_deployment ON validation (deployment);
CREATE INDEX validation_release ON validation (environment, namespace, service, started_at);
CREATE INDEX validation_service ON validation (service);
CREATE INDEX validation_open ON validation (n) WHERE phase <> 'final';

CREATE TABLE plan (
    validation INTEGER PRIMARY KEY REFERENCES validation (n) ON DELETE CASCADE,
    body       BLOB NOT NULL
) STRICT;

-- The newest verdict while it is pending.
CREATE TABLE latest (
    validation INTEGER PRIMARY KEY REFERENCES validation (n) ON DELETE CASCADE,
    body       BLOB NOT NULL
) STRICT;

-- Final verdicts, written once.
CREATE TABLE final (
    validation INTEGER PRIMARY KEY REFERENCES validation (n) ON DELETE CASCADE,
    body       BLOB    NOT NULL,
    word       TEXT    NOT NULL,
    code       TEXT    NOT NULL,
    verdict_id TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    issued_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX final_issued ON final (issued_at);

CREATE TABLE checkpoint (
    validation  INTEGER PRIMARY KEY REFERENCES validation (n) ON DELETE CASCADE,
    spool_bytes INTEGER NOT NULL,
    looks       INTEGER NOT NULL,
    snapshot    BLOB,
    at          INTEGER NOT NULL
) STRICT;

-- What is to be delivered, in order, by sink.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    sink         TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    message_id   TEXT    NOT NULL,
    content_type TEXT    NOT NULL,
    headers      TEXT    NOT NULL,
    payload      BLOB,
    created_at   INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    last_error   TEXT    NOT NULL DEFAULT '',
    tried_at     INTEGER NOT NULL DEFAULT 0,
    sent_at      INTEGER NOT NULL DEFAULT 0,
    UNIQUE (sink, message_id)
) STRICT;
CREATE INDEX outbox_pending ON outbox (sink, id) WHERE sent_at = 0;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at > 0;

-- The hash-linked log of what was done, by whom.
CREATE TABLE audit (
    seq       INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    actor     TEXT    NOT NULL,
    action    TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    body      BLOB    NOT NULL,
    prev_hash TEXT    NOT NULL,
    hash      TEXT    NOT NULL
) STRICT;

-- The triggers guard against our own mistakes, not against an attacker.
-- +goose StatementBegin
CREATE TRIGGER final_is_written_once BEFORE UPDATE ON final
BEGIN SELECT RAISE(ABORT, 'a final verdict is written once'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER validation_stays_final BEFORE UPDATE ON validation WHEN OLD.phase = 'final'
BEGIN SELECT RAISE(ABORT, 'a final validation does not change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- +goose StatementEnd
