-- How endpoints answered: failures in full, successes sampled. For people to look at; nothing is decided by it. A day's
-- attempts are a partition of their own, dropped whole: a sortable id begins with its time.

CREATE TABLE attempt (
    -- att_… : sorts by the time it ended.
    id          text NOT NULL COLLATE "C" PRIMARY KEY,
    endpoint_id text NOT NULL COLLATE "C",
    ended_at    timestamptz NOT NULL,
    duration_ms bigint NOT NULL,
    batch_id    text NOT NULL,
    events      integer NOT NULL,
    -- The first events: [{"event_id", "topic", "partition", "offset"}]
    members     jsonb NOT NULL,
    attempt     integer NOT NULL,
    -- delivered | rejected | failed | gone | disconnected | local_fault
    outcome     text NOT NULL,
    status      smallint,
    class       text NOT NULL,
    excerpt     text NOT NULL,
    -- none | retry | backlog | dead_letter
    next        text NOT NULL,
    next_at     timestamptz,
    stands_for  bigint NOT NULL
) PARTITION BY RANGE (id);

CREATE INDEX attempt_endpoint ON attempt (endpoint_id, id);
CREATE INDEX attempt_members ON attempt USING gin (members jsonb_path_ops);

-- For a clock far off: nothing is refused, and maintenance moves it to its day.
CREATE TABLE attempt_default PARTITION OF attempt DEFAULT;
