-- A producer's texts that hold a NUL, which no text of PostgreSQL can: event_id, tenant, department and type, each empty
-- where its column has it, with the byte 255 (which no UTF-8 has) between them. NULL of a letter whose columns have them all.
ALTER TABLE dead_letter ADD COLUMN texts_with_nul bytea;
