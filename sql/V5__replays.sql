-- Records of Kafka that someone wants delivered to one endpoint once more: closed ranges, and how far each has come.
-- The instance that owns a partition runs its part, and writes its progress down every second or so.

CREATE TABLE replay (
    id            text PRIMARY KEY COLLATE "C",
    endpoint_id   text NOT NULL COLLATE "C",
    topic         text NOT NULL COLLATE "C",
    -- As it was asked for, milliseconds since 1970; NULL where offsets were.
    from_ms       bigint,
    to_ms         bigint,
    created_at    timestamptz NOT NULL DEFAULT now(),
    cancelled_at  timestamptz,
    cancel_reason text
);

CREATE INDEX replay_endpoint ON replay (endpoint_id, id);

CREATE TABLE replay_partition (
    replay_id     text NOT NULL COLLATE "C" REFERENCES replay ON DELETE CASCADE,
    topic         text NOT NULL COLLATE "C",
    partition     integer NOT NULL,
    from_offset   bigint NOT NULL,
    -- The first offset that is not part of it.
    end_offset    bigint NOT NULL,
    -- Every lower offset of it is settled, as counted below.
    next_offset   bigint NOT NULL,
    -- It begins where Kafka's log begins: what was before that when it was asked for, nobody knows.
    at_log_start  boolean NOT NULL,
    -- Someone has begun with it.
    started       boolean NOT NULL DEFAULT false,
    -- Still to be done: neither at its end nor cancelled.
    open          boolean NOT NULL,
    delivered     bigint NOT NULL DEFAULT 0,
    backlogged    bigint NOT NULL DEFAULT 0,
    dead_lettered bigint NOT NULL DEFAULT 0,
    -- Offsets that Kafka no longer had.
    gap_offsets   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (replay_id, partition)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

CREATE INDEX replay_partition_open ON replay_partition (topic, partition) WHERE open;
