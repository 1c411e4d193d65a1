//! ○ Kafka again, for one endpoint: what may be asked for, and how far it has come.

pub mod range; // what may be asked for
pub mod missed; // what a suspended endpoint misses, until it has come back
pub mod selection; // the parts that work at once
pub mod read_plan; // one reading for all replays of a partition
pub mod progress; // how far a part has come
