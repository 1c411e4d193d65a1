-- What customers set. Every write takes the one row of config_version first, so versions commit in their order and a
-- reader that knows version N misses nothing by asking for what is above N.

CREATE TABLE config_version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version  bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO config_version (version) VALUES (0);

CREATE TABLE customer (
    id         text PRIMARY KEY COLLATE "C",
    -- The caller's own key.
    uid        text COLLATE "C",
    name       text NOT NULL,
    -- {"topics": ["*"] or names, "tenants": ["*"] or names}
    grants     jsonb NOT NULL,
    version    bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- A tombstone: instances must see that a row is gone. Removed by maintenance after a day.
    deleted_at timestamptz
);

CREATE UNIQUE INDEX customer_uid ON customer (uid) WHERE deleted_at IS NULL;
CREATE INDEX customer_deleted ON customer (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE endpoint (
    id           text PRIMARY KEY COLLATE "C",
    uid          text COLLATE "C",
    customer_id  text NOT NULL COLLATE "C" REFERENCES customer (id),
    -- enabled | paused | disabled
    state        text NOT NULL,
    -- Who or what set the state last: api | gone (the endpoint answered 410) | …
    state_reason text NOT NULL DEFAULT 'api',
    url          text NOT NULL,
    settings     jsonb NOT NULL,
    -- Encrypted: how the endpoint authenticates us, and its signing secrets.
    secrets      bytea NOT NULL,
    version      bigint NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    deleted_at   timestamptz
);

CREATE UNIQUE INDEX endpoint_uid ON endpoint (customer_id, uid) WHERE deleted_at IS NULL;
CREATE INDEX endpoint_by_uid ON endpoint (uid) WHERE deleted_at IS NULL AND uid IS NOT NULL;
CREATE INDEX endpoint_customer ON endpoint (customer_id, id);
CREATE INDEX endpoint_version ON endpoint (version);
CREATE INDEX endpoint_deleted ON endpoint (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE subscription (
    id          text PRIMARY KEY COLLATE "C",
    uid         text COLLATE "C",
    endpoint_id text NOT NULL COLLATE "C" REFERENCES endpoint (id),
    topic       text NOT NULL COLLATE "C",
    scope       jsonb NOT NULL,
    version     bigint NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at  timestamptz
);

CREATE UNIQUE INDEX subscription_uid ON subscription (endpoint_id, uid) WHERE deleted_at IS NULL;
CREATE INDEX subscription_by_uid ON subscription (uid) WHERE deleted_at IS NULL AND uid IS NOT NULL;
CREATE INDEX subscription_endpoint ON subscription (endpoint_id, id);
CREATE INDEX subscription_topic ON subscription (topic, id) WHERE deleted_at IS NULL;
CREATE INDEX subscription_version ON subscription (version);
CREATE INDEX subscription_deleted ON subscription (deleted_at) WHERE deleted_at IS NOT NULL;
