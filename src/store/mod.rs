//! ● Postgres: the only place with SQL.
//!
//! Every conversation goes through [`Pool::with`](pool::Pool::with), which bounds it in time and throws a connection
//! away rather than let a half-finished statement meet its next user.

pub mod error; // what went wrong, and what to do about it
pub mod tls; // ● how the wire is protected
pub mod pool; // ● connections
pub mod threads; // ● … and where they live
pub mod migrations; // ● sql/, embedded
pub mod secret_box; // ○ secrets at rest
pub mod secrets; // ○ what an endpoint keeps secret
pub mod endpoint_settings; // ○ an endpoint's settings as they are stored
pub mod settings; // ● settings for the routers and endpoint actors, whole or since a version
pub mod write_queue; // ● what waits to be written, in order
pub mod retry; // ● statements that fail are tried again
pub mod config_write; // ● one write at a time, each with its version
pub mod list_row; // ● the rows of a list, whatever one of them is
pub mod customers; // ●
pub mod endpoints; // ●
pub mod endpoint_commands; // ● their actors and backlogs restarted
pub mod endpoint_search; // ● found by a part of a name, in another order
pub mod subscriptions; // ●
pub mod quotas; // ● how much a customer may have, and has
pub mod resealing; // ● their secrets under the newest key
pub mod bulk_customers; // ● many in one write
pub mod bulk_endpoints; // ●
pub mod bulk_subscriptions; // ●
pub mod corrupt_rows; // ● what this version cannot read is deleted all the same
pub mod matching; // ● which subscriptions cover an event
pub mod endpoint_failures; // ● endpoints that take nothing, and since when
pub mod api_keys; // ● who may use the API
pub mod first_start; // ● where the group began
pub mod instances; // ● who lives
pub mod backlog; // ● what is still to be delivered: stored, written again, taken out
pub mod event_row; // ○ a parked event as a row, and back
pub mod backlog_ageing; // ● … searched for what is too old
pub mod backlog_read; // ● … and read
pub mod letter_texts; // ○ the producer's texts of a dead letter in their columns
pub mod dead_letters; // ● what was given up: stored, taken out, tried again
pub mod dead_letter_read; // ● as customers see them: listed, read, acknowledged, marked for another try
pub mod redrive_progress; // ● marked for another try, and what became of them
pub mod redrives; // ● what is asked for again
pub mod replays; // ● closed ranges of Kafka, and how far each has come
pub mod skipped_ranges; // ● what suspended endpoints did not get
pub mod attempts; // ● how endpoints answered
pub mod counts; // ● … and how often, by the minute
pub mod daily_partitions; // ● tables cut into days
pub mod tables; // ● how large they are, for those who watch
pub mod queue_depths; // ● how much waits and was given up, for those who watch
pub mod operator_events; // ● what operators were told last
pub mod maintenance; // ● what keeps the tables small

pub use error::StoreError;
pub use migrations::migrate;
pub use pool::{Pool, PoolOptions};
