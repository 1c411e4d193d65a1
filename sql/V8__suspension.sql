-- An endpoint whose backlog is over its quota is suspended: what waits is delivered as before, what comes now is only
-- remembered by its position in Kafka. Lifting the suspension replays that.
ALTER TABLE endpoint ADD COLUMN suspended_at timestamptz;

-- What a suspended endpoint did not get: one closed range of each partition, wide enough for all of it. Stored before the
-- first of them may be committed away.
CREATE TABLE backlog_gap (
    endpoint_id text NOT NULL COLLATE "C",
    topic       text NOT NULL COLLATE "C",
    partition   integer NOT NULL,
    from_offset bigint NOT NULL,
    -- The first offset behind it.
    end_offset  bigint NOT NULL,
    -- How many of the range were for this endpoint; more when some came twice.
    events      bigint NOT NULL,
    since       timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (endpoint_id, topic, partition)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0.02);
