-- What was told last that was no relief, and when: an endpoint that fails, recovers and fails again is told of once in a while,
-- not each time.
ALTER TABLE operator_event ADD COLUMN bad_word text COLLATE "C";
ALTER TABLE operator_event ADD COLUMN bad_at timestamptz;
