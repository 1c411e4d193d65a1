-- How often someone asked for the endpoint's actor to be built anew. A version like any other setting, so every instance
-- obeys.
ALTER TABLE endpoint ADD COLUMN restarts bigint NOT NULL DEFAULT 0;
