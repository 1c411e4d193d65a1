-- A customer's own quotas, where they differ from those of the configuration: {"endpoints_max": 5000, …}.
ALTER TABLE customer ADD COLUMN quotas jsonb NOT NULL DEFAULT '{}';

-- The tenants or departments that a scope names: what a subscription costs each instance's memory. A scope of an unknown
-- form counts as one.
CREATE FUNCTION scope_entries(scope jsonb) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN scope->>'level' = 'tenants' AND jsonb_typeof(scope->'tenants') = 'array' THEN jsonb_array_length(scope->'tenants')
        WHEN scope->>'level' = 'departments' AND jsonb_typeof(scope->'departments') = 'object' THEN (
            SELECT coalesce(sum(CASE jsonb_typeof(value) WHEN 'array' THEN jsonb_array_length(value) ELSE 1 END), 0)::integer
            FROM jsonb_each(scope->'departments'))
        ELSE 1
    END
$$;

ALTER TABLE subscription ADD COLUMN entries integer NOT NULL GENERATED ALWAYS AS (scope_entries(scope)) STORED;

-- Sums over a customer's subscriptions are read from here alone.
CREATE INDEX subscription_entries ON subscription (endpoint_id) INCLUDE (entries) WHERE deleted_at IS NULL;

-- How much the dead letters of an endpoint take, by the day on which they were written: a day goes when its letters go. Each
-- statement adds rows of its own, so that nobody waits for another's transaction; the sum counts, and rows are folded.
CREATE TABLE dead_letter_size (
    customer_id text NOT NULL COLLATE "C",
    endpoint_id text NOT NULL COLLATE "C",
    day         date NOT NULL,
    letters     bigint NOT NULL,
    bytes       bigint NOT NULL,
    -- When letters were added last.
    grown_at    timestamptz
) WITH (autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX dead_letter_size_customer ON dead_letter_size (customer_id, endpoint_id);

CREATE FUNCTION dead_letter_bytes(record_key bytea, record_value bytea, record_headers bytea) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(octet_length(record_key), 0)::bigint + coalesce(octet_length(record_value), 0)
        + coalesce(octet_length(record_headers), 0)
$$;

-- Counted in the statement that writes or deletes letters, whichever version runs it. Letters of no endpoint count for nobody.
CREATE FUNCTION count_dead_letters() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO dead_letter_size (customer_id, endpoint_id, day, letters, bytes, grown_at)
    SELECT customer_id, endpoint_id, (created_at AT TIME ZONE 'UTC')::date, sign * count(*),
        sign * sum(dead_letter_bytes(record_key, record_value, record_headers)), CASE WHEN sign > 0 THEN now() END
    FROM changed WHERE endpoint_id <> '' GROUP BY 1, 2, 3;
    RETURN NULL;
END
$$;

CREATE TRIGGER dead_letter_written AFTER INSERT ON dead_letter REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_dead_letters();
CREATE TRIGGER dead_letter_deleted AFTER DELETE ON dead_letter REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_dead_letters();

INSERT INTO dead_letter_size (customer_id, endpoint_id, day, letters, bytes, grown_at)
SELECT customer_id, endpoint_id, (created_at AT TIME ZONE 'UTC')::date, count(*),
    sum(dead_letter_bytes(record_key, record_value, record_headers)), max(created_at)
FROM dead_letter WHERE endpoint_id <> '' GROUP BY 1, 2, 3;
