-- What is still to be delivered. The instance that owns an event's partition owns its row: it alone reads it, and takes
-- it out once the event was delivered.
--
-- Inserting twice is harmless (the key), and a recreated topic cannot collide with its predecessor (the record's time).
-- Producer data is bytea, so no text of a producer's can be refused.

CREATE TABLE backlog (
    topic         text NOT NULL COLLATE "C",
    partition     integer NOT NULL,
    endpoint_id   text NOT NULL COLLATE "C",
    "offset"      bigint NOT NULL,
    record_ms     bigint NOT NULL,
    -- When this service first received the record, milliseconds since 1970: its age survives restarts and rebalances.
    received_ms   bigint NOT NULL,
    -- The next attempt is due then, milliseconds since 1970.
    not_before_ms bigint NOT NULL,
    attempts      integer NOT NULL,
    occurred_ms   bigint NOT NULL,
    event_id      bytea,
    tenant        bytea,
    department    bytea,
    type          bytea,
    -- Key, value and headers in one; the key and the value end where these say. NULL: there is none.
    record        bytea NOT NULL,
    key_bytes     integer,
    value_bytes   integer,
    bytes         integer NOT NULL,
    -- 1 for a row that was inserted, more for one that was written again.
    writes        integer NOT NULL DEFAULT 1,
    last_status   smallint,
    last_class    text,
    excerpt       bytea,
    PRIMARY KEY (topic, partition, endpoint_id, "offset", record_ms)
) PARTITION BY HASH (endpoint_id);

-- Rows come and go: vacuum early and in small steps, and leave room for a row that is written again.
DO $$
BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format(
            'CREATE TABLE backlog_p%s PARTITION OF backlog FOR VALUES WITH (MODULUS 8, REMAINDER %s)
             WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
                   autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 0,
                   toast.autovacuum_vacuum_scale_factor = 0.02)', part, part);
    END LOOP;
END $$;

-- One row for each (topic, partition, endpoint) that has any: what an owner reads when it gets a partition, and what
-- quotas are sums of. Written in the statement that writes the rows, so the counts are exact.
CREATE TABLE backlog_head (
    topic       text NOT NULL COLLATE "C",
    partition   integer NOT NULL,
    endpoint_id text NOT NULL COLLATE "C",
    events      bigint NOT NULL,
    bytes       bigint NOT NULL,
    -- Not later than when the oldest row's record was first received.
    oldest_ms   bigint NOT NULL,
    PRIMARY KEY (topic, partition, endpoint_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0);

CREATE INDEX backlog_head_endpoint ON backlog_head (endpoint_id);
