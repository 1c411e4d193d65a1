-- Endpoints that take nothing: since when, as all instances together know it. One that delivers something is enough for it
-- to count as well again.

CREATE TABLE endpoint_failing (
    endpoint_id    text PRIMARY KEY COLLATE "C",
    -- The first failure since the last success, by any instance.
    since          timestamptz NOT NULL,
    -- The last success, by any instance.
    delivered_at   timestamptz NOT NULL DEFAULT '-infinity',
    -- An instance said last that it fails.
    seen_at        timestamptz NOT NULL DEFAULT now(),
    -- Of the time after which it is disabled: operators were told at this share.
    warned_percent smallint NOT NULL DEFAULT 0
);
