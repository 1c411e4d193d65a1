//! ● One ingest actor per assigned partition: decodes chunks of records and hands events to the router of its core.
