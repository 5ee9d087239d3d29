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

-- Networks and volumes are repaired too, and a repair counts for the settings that it brought back: `wish` is their digest.
ALTER TABLE repairs RENAME COLUMN instance TO subject;
ALTER TABLE repairs ADD COLUMN wish TEXT NOT NULL DEFAULT '';

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
    number      INTEGER NOT NULL, -- grows whenever something became of a commit, whatever the wall clock does
    PRIMARY KEY (environment, commit_id)
) STRICT, WITHOUT ROWID;
INSERT INTO revisions_002
    SELECT environment, commit_id, reference, summary, author, committed, outcome, at, plan, note,
           row_number() OVER (ORDER BY at, commit_id)
    FROM revisions;
DROP TABLE revisions;
ALTER TABLE revisions_002 RENAME TO revisions;
CREATE INDEX revisions_by_time ON revisions (environment, at);
CREATE UNIQUE INDEX revisions_by_number ON revisions (number);

-- A machine that lost power does not know whether a run that was prepared had begun.
ALTER TABLE runs ADD COLUMN boot TEXT; -- the boot of the machine that prepared it; NULL when it never was

ALTER TABLE runs ADD COLUMN process INTEGER; -- id of the process that runs it in a terminal; NULL for a daemon's

-- Due times whose rows of `fires` were removed by age count as fired. There are several spans where a wall clock was ahead.
CREATE TABLE fires_removed_002 (
    environment TEXT NOT NULL, -- the environment of the schedule
    schedule    TEXT NOT NULL, -- its name
    since       TEXT NOT NULL, -- the earliest due time of the span
    due         TEXT NOT NULL, -- the latest
    PRIMARY KEY (environment, schedule, since)
) STRICT, WITHOUT ROWID;
INSERT INTO fires_removed_002 SELECT environment, schedule, '1970-01-01T00:00:00Z', due FROM fires_removed;
DROP TABLE fires_removed;
ALTER TABLE fires_removed_002 RENAME TO fires_removed;

-- What waits, and the newest entries, are found without reading all that ever was.
CREATE INDEX fires_queued ON fires (environment, recorded_at) WHERE outcome = 'queued';
CREATE INDEX fires_by_time ON fires (environment, recorded_at);

-- How late tasks started and how long they took, over all their runs; what is not a true start is apart.
CREATE TABLE task_figures_002 (
    environment TEXT NOT NULL,    -- the environment of the schedule
    schedule    TEXT NOT NULL,    -- its name
    task        TEXT NOT NULL,    -- id of the task
    kind        TEXT NOT NULL     -- lateness: from its release to its true start; sent: to its request, where its task server
                                  -- does not stamp the start; early: from a true start to the release after it; duration:
                                  -- from the request to the end; overrun: occurrences left out, whose count alone counts
        CHECK (kind IN ('lateness', 'sent', 'early', 'duration', 'overrun')),
    count       INTEGER NOT NULL, -- how many values there are
    p50_us      INTEGER NOT NULL, -- half of them do not exceed this, in microseconds
    p99_us      INTEGER NOT NULL, -- 99 % of them do not exceed this, in microseconds
    max_us      INTEGER NOT NULL, -- the largest, in microseconds
    histogram   BLOB NOT NULL,    -- all of them, for adding more: pairs of LEB128 numbers
    updated_at  TEXT NOT NULL,    -- when the last was added
    PRIMARY KEY (environment, schedule, task, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO task_figures_002 SELECT * FROM task_figures;
DROP TABLE task_figures;
ALTER TABLE task_figures_002 RENAME TO task_figures;
