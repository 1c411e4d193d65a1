-- Where the other instances reach one, to ask how it is, and which version it runs. NULL for one of an older version.

ALTER TABLE instance ADD COLUMN address text COLLATE "C", ADD COLUMN version text COLLATE "C";
