//! 5. Given up: written before the offset may be committed, pulled over REST, acknowledged, redriven.

pub mod letter; // ○ what a dead letter says
mod queued; // ● what waits to be stored, by customer
pub mod writer; // ● batches into Postgres, settles after COMMIT
