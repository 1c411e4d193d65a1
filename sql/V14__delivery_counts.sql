-- How many events an endpoint took, and how many attempts at it failed, by the minute. A row is an hour of an endpoint, so
-- that the busiest costs 24 rows a day. A day's rows are a partition of their own, dropped whole.

CREATE TABLE delivery_count (
    -- cnt_… : the lowest id of the hour's beginning, the same for all endpoints.
    id          text NOT NULL COLLATE "C",
    endpoint_id text NOT NULL COLLATE "C",
    -- Hours since 1970, as the id says.
    hour        bigint NOT NULL,
    -- 60 numbers each, one for a minute.
    delivered   integer[] NOT NULL,
    failed      integer[] NOT NULL,
    PRIMARY KEY (endpoint_id, id)
) PARTITION BY RANGE (id);

-- For a clock far off: nothing is refused, and maintenance moves it to its day.
CREATE TABLE delivery_count_default PARTITION OF delivery_count DEFAULT;
