-- What was given up. A day's letters are a partition of their own, dropped whole when their retention is over: a sortable
-- id begins with its time, so the id is the partition key and unique by itself.
--
-- A unique key over (topic, partition, offset, record time, endpoint) cannot span partitions by day, and the day of a
-- second try may differ from the first one's. So the key stands in a narrow table that is not partitioned, as a digest.

CREATE TABLE dead_letter_key (
    -- The first 16 bytes of SHA-256 over the key.
    key bytea PRIMARY KEY,
    id  text NOT NULL COLLATE "C"
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.1);

CREATE TABLE dead_letter (
    -- dl_… : sorts by the time it was written.
    id                   text NOT NULL COLLATE "C" PRIMARY KEY,
    key                  bytea NOT NULL,
    -- Empty for a record that never got as far as an endpoint (undecodable, too large): the operator's.
    endpoint_id          text NOT NULL COLLATE "C",
    customer_id          text NOT NULL COLLATE "C",
    topic                text NOT NULL COLLATE "C",
    partition            integer NOT NULL,
    "offset"             bigint NOT NULL,
    record_ms            bigint NOT NULL,
    occurred_ms          bigint NOT NULL,
    event_id             text,
    tenant               text,
    department           text,
    type                 text,
    record_key           bytea,
    -- NULL is a tombstone.
    record_value         bytea,
    record_headers       bytea NOT NULL,
    -- rejected | exhausted | undecodable | too_large | internal
    reason               text NOT NULL,
    attempts             integer NOT NULL,
    last_status          smallint,
    last_class           text,
    excerpt              text,
    -- When this service received the record.
    received_at          timestamptz NOT NULL,
    created_at           timestamptz NOT NULL,
    -- dead | redriving
    state                text NOT NULL DEFAULT 'dead',
    redrive_requested_at timestamptz
) PARTITION BY RANGE (id);

CREATE INDEX dead_letter_endpoint ON dead_letter (endpoint_id, id);
CREATE INDEX dead_letter_reason ON dead_letter (endpoint_id, reason, id);
CREATE INDEX dead_letter_redriving ON dead_letter (id) INCLUDE (topic, partition) WHERE state = 'redriving';

-- For a clock far off: nothing is refused, and maintenance moves it to its day.
CREATE TABLE dead_letter_default PARTITION OF dead_letter DEFAULT;
