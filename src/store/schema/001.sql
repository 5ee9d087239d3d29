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
    since    TEXT NOT NULL
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
