-- How a redrive ends. A letter that was asked for once more stays a letter until its endpoint has taken it: while the
-- endpoint takes nothing, it waits here.

ALTER TABLE dead_letter
    -- How its last redrive ended: given_up | cancelled. Delivered ones are gone.
    ADD COLUMN redrive_end text,
    -- Attempts of the redrive under way, and when the next one is due (at once, where that is not said).
    ADD COLUMN redrive_attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN redrive_not_before timestamptz;

-- Letters that a redrive delivered, by when they were asked for.
CREATE TABLE dead_letter_delivered (
    endpoint_id text NOT NULL COLLATE "C",
    -- dead_letter.redriven_at of these letters.
    redriven_at timestamptz NOT NULL,
    letters     bigint NOT NULL,
    PRIMARY KEY (endpoint_id, redriven_at)
);
