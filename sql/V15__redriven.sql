-- When a letter was asked for once more, kept after that has ended: how a redrive goes is what became of those letters.

ALTER TABLE dead_letter ADD COLUMN redriven_at timestamptz;

CREATE INDEX dead_letter_redriven ON dead_letter (endpoint_id, redriven_at) WHERE redriven_at IS NOT NULL;
