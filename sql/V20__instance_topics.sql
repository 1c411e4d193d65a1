-- Which topics an instance reads: what nobody reads any more, one of them takes care of. NULL of an instance of an older
-- version, which may read any; a pattern is '*'.

ALTER TABLE instance ADD COLUMN topics text[];
