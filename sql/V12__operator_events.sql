-- What operators were told last of each subject, so that one of the instances tells it, and not again a moment later.

CREATE TABLE operator_event (
    subject text PRIMARY KEY COLLATE "C",
    word    text NOT NULL COLLATE "C",
    told_at timestamptz NOT NULL DEFAULT now()
);
