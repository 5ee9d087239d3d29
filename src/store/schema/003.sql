-- An instance is somewhere: on a machine, by the name of its node. Until here there was one, `local`. While an instance moves it
-- has a row on each of two nodes.
CREATE TABLE instances_003 (
    environment TEXT NOT NULL,
    node        TEXT NOT NULL,
    instance    TEXT NOT NULL,
    container   TEXT,
    state       TEXT NOT NULL,
    health      TEXT NOT NULL CHECK (health IN ('unchecked', 'starting', 'healthy', 'unhealthy')),
    revision    TEXT,
    since       TEXT NOT NULL,
    PRIMARY KEY (environment, node, instance)
) STRICT, WITHOUT ROWID;
INSERT INTO instances_003
    SELECT environment, 'local', instance, container, state, health, revision, since FROM instances;
DROP TABLE instances;
ALTER TABLE instances_003 RENAME TO instances;

ALTER TABLE instance_history ADD COLUMN node TEXT NOT NULL DEFAULT 'local';

CREATE TABLE quarantine_003 (
    environment TEXT NOT NULL,
    node        TEXT NOT NULL,
    instance    TEXT NOT NULL,
    spec        TEXT NOT NULL,
    revision    TEXT NOT NULL,
    verdict     TEXT NOT NULL,
    at          TEXT NOT NULL,
    PRIMARY KEY (environment, node, instance)
) STRICT, WITHOUT ROWID;
INSERT INTO quarantine_003
    SELECT environment, 'local', instance, spec, revision, verdict, at FROM quarantine;
DROP TABLE quarantine;
ALTER TABLE quarantine_003 RENAME TO quarantine;
