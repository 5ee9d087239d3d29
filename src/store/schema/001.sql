-- Times are RFC 3339 in UTC with milliseconds, so that their order as text is the order of time.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Which repo an environment was last applied from.
CREATE TABLE environments (
    name     TEXT PRIMARY KEY,
    identity TEXT NOT NULL,
    address  TEXT NOT NULL,
    since    TEXT NOT NULL,
    in_force TEXT
) STRICT, WITHOUT ROWID;

-- Every recorded fact; `json` is the whole of it. `environment` is empty for facts about the daemon itself.
CREATE TABLE events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          TEXT NOT NULL,
    environment TEXT NOT NULL,
    kind        TEXT NOT NULL,
    subject     TEXT,
    revision    TEXT,
    json        TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_subject ON events (subject, id);
CREATE INDEX events_by_kind ON events (kind, id);

CREATE VIEW timeline AS
    SELECT id, at, environment, kind, subject, substr(revision, 1, 7) AS revision,
           coalesce(json_extract(json, '$.verdict'), json_extract(json, '$.error'), json_extract(json, '$.why'),
                    json_extract(json, '$.because'), json_extract(json, '$.action'),
                    json_extract(json, '$.revision.summary'), '') AS text
    FROM events ORDER BY id;

-- Commits that were read, and what became of them.
CREATE TABLE revisions (
    environment TEXT NOT NULL,
    commit_id   TEXT NOT NULL,
    reference   TEXT NOT NULL,
    summary     TEXT NOT NULL,
    author      TEXT NOT NULL,
    committed   TEXT NOT NULL,
    outcome     TEXT NOT NULL CHECK (outcome IN ('accepted', 'rejected', 'applied', 'failed', 'superseded')),
    at          TEXT NOT NULL,
    plan        TEXT,
    note        TEXT,
    PRIMARY KEY (environment, commit_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX revisions_by_time ON revisions (environment, at);

-- Instances that are there or should be: `state` is `absent` when somebody else removed the container.
CREATE TABLE instances (
    environment TEXT NOT NULL,
    instance    TEXT NOT NULL,
    container   TEXT,
    state       TEXT NOT NULL,
    health      TEXT NOT NULL CHECK (health IN ('unchecked', 'starting', 'healthy', 'unhealthy')),
    revision    TEXT,
    since       TEXT NOT NULL,
    PRIMARY KEY (environment, instance)
) STRICT, WITHOUT ROWID;

CREATE TABLE instance_history (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    environment TEXT NOT NULL,
    instance    TEXT NOT NULL,
    at          TEXT NOT NULL,
    container   TEXT,
    old_state   TEXT,
    new_state   TEXT NOT NULL,
    why         TEXT NOT NULL,
    revision    TEXT
) STRICT;
CREATE INDEX instance_history_by_instance ON instance_history (environment, instance, id);

-- What failed its gate and is not tried again with the same settings.
CREATE TABLE quarantine (
    environment TEXT NOT NULL,
    instance    TEXT NOT NULL,
    spec        TEXT NOT NULL,
    revision    TEXT NOT NULL,
    verdict     TEXT NOT NULL,
    at          TEXT NOT NULL,
    PRIMARY KEY (environment, instance)
) STRICT, WITHOUT ROWID;

-- Deployments that were stopped by hand.
CREATE TABLE suspended (
    environment TEXT NOT NULL,
    deployment  TEXT NOT NULL,
    since       TEXT NOT NULL,
    PRIMARY KEY (environment, deployment)
) STRICT, WITHOUT ROWID;

-- Digests of fields that were changed in place; they overrule the container's label.
CREATE TABLE applied (
    environment TEXT NOT NULL,
    container   TEXT NOT NULL,
    field       TEXT NOT NULL,
    digest      TEXT NOT NULL,
    at          TEXT NOT NULL,
    PRIMARY KEY (environment, container, field)
) STRICT, WITHOUT ROWID;

-- Repairs of drift, for telling a fault from a fight.
CREATE TABLE repairs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    environment TEXT NOT NULL,
    instance    TEXT NOT NULL,
    fields      TEXT NOT NULL,
    at          TEXT NOT NULL
) STRICT;
CREATE INDEX repairs_by_time ON repairs (environment, at);

-- Plans as they were shown, for saying what moved when a reviewed one is stale.
CREATE TABLE plans (
    id   TEXT NOT NULL PRIMARY KEY,
    at   TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Schedules of the commit in force, and since when each is known in its present form: due times until then never run.
CREATE TABLE schedules (
    environment TEXT NOT NULL, -- the environment that it belongs to
    schedule    TEXT NOT NULL, -- its name
    digest      TEXT NOT NULL, -- of its content; with another digest it is another form
    revision    TEXT NOT NULL, -- the commit from which this form was first known
    seen_at     TEXT NOT NULL, -- when that was
    PRIMARY KEY (environment, schedule)
) STRICT, WITHOUT ROWID;

-- The fire ledger: what became of each due time. A row is written before its run starts, and a key is taken once, so
-- that nothing fires twice.
CREATE TABLE fires (
    environment TEXT NOT NULL, -- the environment of the schedule
    schedule    TEXT NOT NULL, -- its name
    due         TEXT NOT NULL, -- the due time as 2027-01-15T08:00:00Z (shortest form), `commit:<id>` or `manual:<id>`
    outcome     TEXT NOT NULL  -- started, or: queued until an earlier run ends; skipped because of an earlier run;
                               -- missed because nobody was there; replaced by a later run
        CHECK (outcome IN ('started', 'queued', 'skipped', 'missed', 'replaced')),
    missed_from TEXT,          -- the earliest of missed due times in a row; `due` is their latest. NULL when not missed
    missed      INTEGER,       -- how many there are; 1000 means at least so many. NULL when not missed
    run         TEXT,          -- id of its run; NULL when there is none, or when its record was removed by age
    recorded_at TEXT NOT NULL, -- when this outcome was written
    PRIMARY KEY (environment, schedule, due),
    CHECK ((outcome = 'missed') = (missed IS NOT NULL) AND (missed IS NULL) = (missed_from IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX fires_by_run ON fires (run) WHERE run IS NOT NULL;

-- How far rows of `fires` were removed by age: due times up to there count as fired.
CREATE TABLE fires_removed (
    environment TEXT NOT NULL, -- the environment of the schedule
    schedule    TEXT NOT NULL, -- its name
    due         TEXT NOT NULL, -- the latest due time whose row was removed
    PRIMARY KEY (environment, schedule)
) STRICT, WITHOUT ROWID;

-- Runs of schedules.
CREATE TABLE runs (
    number      INTEGER PRIMARY KEY AUTOINCREMENT, -- grows with each run, whatever the wall clock does
    id          TEXT NOT NULL UNIQUE,              -- its id
    environment TEXT NOT NULL,                     -- the environment of its schedule
    schedule    TEXT NOT NULL,                     -- name of its schedule
    due         TEXT NOT NULL,                     -- what it was fired for, as in `fires`
    revision    TEXT,                              -- the commit whose schedule it follows; NULL when it never began
    strict      INTEGER NOT NULL                   -- 1: it fails when a real-time policy cannot be had
        CHECK (strict IN (0, 1)),
    planned_at  TEXT NOT NULL,                     -- when it was to start, with microseconds
    started_at  TEXT,                              -- when it did by the wall clock, likewise; NULL when it never began
    state       TEXT NOT NULL                      -- running; ended; interrupted: its process died before its end
        CHECK (state IN ('running', 'ended', 'interrupted')),
    verdict     TEXT                               -- how it ended; NULL while it runs
        CHECK (verdict IN ('succeeded', 'failed', 'aborted', 'cancelled')),
    ended_at    TEXT,                              -- when it ended, or was found interrupted
    note        TEXT                               -- what else there is to say, for people
) STRICT;
CREATE INDEX runs_by_schedule ON runs (environment, schedule, number);
CREATE INDEX runs_under_way ON runs (environment, number) WHERE state = 'running';

-- Occurrences of tasks in runs. A row may stand for several that were left out together.
CREATE TABLE run_tasks (
    run             TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, -- id of the run
    task_index      INTEGER NOT NULL, -- position of the task in its schedule, from 0
    task            TEXT NOT NULL,    -- its id there
    occurrence      INTEGER NOT NULL, -- which occurrence, from 0
    count           INTEGER NOT NULL, -- how many occurrences from there
    due_ns          INTEGER,          -- nanoseconds from the run's start to its due time; NULL for a sequential task
    verdict         TEXT              -- how it ended; NULL while it has not, and when its run was interrupted before
        CHECK (verdict IN ('succeeded', 'failed', 'timed-out', 'cancelled', 'skipped')),
    cause           TEXT,             -- why it failed, timed out or was skipped
    cause_task      INTEGER,          -- position of the task that it was skipped for
    missed_deadline INTEGER NOT NULL  -- 1: a deadline passed before its end
        CHECK (missed_deadline IN (0, 1)),
    tries           TEXT NOT NULL,    -- its attempts as a JSON array of objects; nanoseconds from the run's start in
                                      -- released_ns, sent_ns, acknowledged_ns, started_ns (the true start, measured by
                                      -- its runner), ended_ns; further armed, end, error
    output          TEXT,             -- JSON that it returned; NULL when there is none, or it is too long
    output_bytes    INTEGER,          -- how long it is
    PRIMARY KEY (run, task_index, occurrence)
) STRICT, WITHOUT ROWID;

-- One line for each row of `run_tasks`, in milliseconds: how late its last attempt started, and how long that took.
CREATE VIEW task_times AS
    SELECT environment, schedule, run, started_at, task, occurrence, count, due_ns / 1e6 AS due_ms,
           json_array_length(tries) AS tries,
           (began_ns - json_extract(tries, '$[#-1].released_ns')) / 1e6 AS late_ms,
           (json_extract(tries, '$[#-1].ended_ns') - began_ns) / 1e6 AS took_ms,
           verdict, cause, missed_deadline, json_extract(tries, '$[#-1].error') AS error
    FROM (SELECT r.number, r.environment, r.schedule, r.started_at, t.*,
                 coalesce(json_extract(tries, '$[#-1].started_ns'), json_extract(tries, '$[#-1].sent_ns')) AS began_ns
          FROM run_tasks t JOIN runs r ON r.id = t.run)
    ORDER BY number, task_index, occurrence;

-- How late tasks started and how long they took, over all their runs.
CREATE TABLE task_figures (
    environment TEXT NOT NULL,    -- the environment of the schedule
    schedule    TEXT NOT NULL,    -- its name
    task        TEXT NOT NULL,    -- id of the task
    kind        TEXT NOT NULL     -- lateness: from its release to its start; duration: from there to its end
        CHECK (kind IN ('lateness', 'duration')),
    count       INTEGER NOT NULL, -- how many values there are
    p50_us      INTEGER NOT NULL, -- half of them do not exceed this, in microseconds
    p99_us      INTEGER NOT NULL, -- 99 % of them do not exceed this, in microseconds
    max_us      INTEGER NOT NULL, -- the largest, in microseconds
    histogram   BLOB NOT NULL,    -- all of them, for adding more: pairs of LEB128 numbers
    updated_at  TEXT NOT NULL,    -- when the last was added
    PRIMARY KEY (environment, schedule, task, kind)
) STRICT, WITHOUT ROWID;
