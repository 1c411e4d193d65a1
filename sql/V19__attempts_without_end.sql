-- Age alone ends an event's attempts, unless its endpoint says otherwise. Twelve attempts were the default, written down with
-- each endpoint: a chosen twelve cannot be told from it. (The number is the largest one, which also an instance of the
-- version before understands: no end.)

UPDATE endpoint SET settings = jsonb_set(settings, '{retry,attempts_max}', '4294967295')
WHERE settings -> 'retry' -> 'attempts_max' = '12';
