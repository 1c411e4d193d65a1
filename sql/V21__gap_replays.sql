-- A replay of what an endpoint missed while it was suspended: until it is done, an ordered endpoint gets nothing else of the
-- partition.
ALTER TABLE replay ADD COLUMN of_gap boolean NOT NULL DEFAULT false;
