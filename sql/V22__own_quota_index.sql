-- The least of the customers' own quotas for backlogs: until so much is stored, nobody can be beyond one.
CREATE INDEX customer_backlog_rows_max ON customer (((quotas->>'backlog_rows_max')::bigint));
CREATE INDEX customer_backlog_bytes_max ON customer (((quotas->>'backlog_bytes_max')::bigint));
