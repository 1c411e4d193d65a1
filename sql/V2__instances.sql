-- Which instances live, and where the group began.

CREATE TABLE instance (
    id         text PRIMARY KEY COLLATE "C",
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000);

-- The group's very first start is resolved once, by whichever instance is first; all use what it found.
CREATE TABLE first_start (
    group_id    text PRIMARY KEY COLLATE "C",
    resolved_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE first_start_offset (
    group_id        text NOT NULL COLLATE "C" REFERENCES first_start (group_id) ON DELETE CASCADE,
    topic           text NOT NULL COLLATE "C",
    partition       integer NOT NULL,
    "offset"        bigint NOT NULL,
    PRIMARY KEY (group_id, topic, partition)
);
