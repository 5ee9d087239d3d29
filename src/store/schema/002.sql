-- What was asked of each object of ours after it was made, and what the engine reported of it then; see `plan::Base`.
-- `object` is the engine's id; `asked` and `reported` map fields to digests.
CREATE TABLE bases (
    environment TEXT NOT NULL,
    object      TEXT NOT NULL,
    asked       TEXT NOT NULL,
    reported    TEXT NOT NULL,
    at          TEXT NOT NULL,
    PRIMARY KEY (environment, object)
) STRICT, WITHOUT ROWID;
INSERT INTO bases (environment, object, asked, reported, at)
    SELECT environment, container, json_group_object(field, digest), '{}', max(at)
    FROM applied GROUP BY environment, container;
DROP TABLE applied;

-- Networks and volumes are repaired too.
ALTER TABLE repairs RENAME COLUMN instance TO subject;

-- A commit of which something is held was not applied.
CREATE TABLE revisions_002 (
    environment TEXT NOT NULL,
    commit_id   TEXT NOT NULL,
    reference   TEXT NOT NULL,
    summary     TEXT NOT NULL,
    author      TEXT NOT NULL,
    committed   TEXT NOT NULL,
    outcome     TEXT NOT NULL CHECK (outcome IN ('accepted', 'rejected', 'held', 'applied', 'failed', 'superseded')),
    at          TEXT NOT NULL,
    plan        TEXT,
    note        TEXT,
    PRIMARY KEY (environment, commit_id)
) STRICT, WITHOUT ROWID;
INSERT INTO revisions_002 SELECT environment, commit_id, reference, summary, author, committed, outcome, at, plan, note FROM revisions;
DROP TABLE revisions;
ALTER TABLE revisions_002 RENAME TO revisions;
CREATE INDEX revisions_by_time ON revisions (environment, at);
