//! ● Batches dead letters into Postgres; receipts settle only after COMMIT.
