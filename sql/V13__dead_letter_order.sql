-- Letters in the order of the transactions that wrote them. Ids are made before a letter is written, by clocks that differ:
-- one with a lower id may be seen later. Once no transaction is running that is as old as a letter's, nothing can come
-- before that letter any more; so whoever follows the letters goes by this order. Old letters are in the order of their ids.

ALTER TABLE dead_letter ADD COLUMN written_in xid8 NOT NULL DEFAULT '0';
ALTER TABLE dead_letter ALTER COLUMN written_in SET DEFAULT pg_current_xact_id();

CREATE INDEX dead_letter_written ON dead_letter (endpoint_id, written_in, id);
CREATE INDEX dead_letter_reason_written ON dead_letter (endpoint_id, reason, written_in, id);
