-- Who may use the API, beside the key of the configuration. A token is random and long, so its SHA-256 tells nothing of it.

CREATE TABLE api_key (
    -- key_…
    id                  text PRIMARY KEY COLLATE "C",
    name                text NOT NULL,
    -- admin | operator | customer
    role                text NOT NULL,
    -- Whose key it is: with the role customer, and only with it.
    customer_id         text COLLATE "C" REFERENCES customer (id) ON DELETE CASCADE,
    token_sha256        bytea NOT NULL,
    -- The token's first characters, by which its holder knows it.
    token_start         text NOT NULL,
    -- The token before the last rotation, as long as it holds.
    previous_sha256     bytea,
    previous_expires_at timestamptz,
    expires_at          timestamptz,
    -- Written now and then, not at every use.
    last_used_at        timestamptz,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    -- The id of the key that made it.
    created_by          text NOT NULL,
    CHECK ((role = 'customer') = (customer_id IS NOT NULL))
);

CREATE UNIQUE INDEX api_key_token ON api_key (token_sha256);
CREATE UNIQUE INDEX api_key_previous ON api_key (previous_sha256) WHERE previous_sha256 IS NOT NULL;
CREATE INDEX api_key_customer ON api_key (customer_id, id) WHERE customer_id IS NOT NULL;
