//! ● REST under `/v1`, health and metrics.
//!
//! A handler parses the whole request first (○, every wrong field named at once), then talks to the store, then answers.
//! Nothing a caller sends makes a 5xx; Postgres away is 503 with `Retry-After`.

pub mod problem; // ● RFC 9457
pub mod state; // ● shared by the handlers
pub mod paging; // ○ cursors
mod request; // ● body, path and query of a request
mod conditions; // ○ If-Match, If-None-Match
mod responses; // ● problems and what a write came to, as responses
pub mod memory; // ● bodies and answers that are held, within a budget
pub mod work; // ● what takes a while, off the threads that answer
pub mod scans; // ● statements that look through many rows, few at once
mod compress; // ● long ones are sent compressed
pub mod access; // ● who asks, and what they may do
pub mod client_address; // ○ where a request comes from, also behind a proxy
mod rate_limits; // ○ how often a key may call
mod key_cache; // ○ tokens that were looked up a moment ago
pub mod auth; // ● keys, and a line for each write
mod api_key_body; // ○ parsed and validated
mod api_keys; // ●
pub mod customer_body; // ○ parsed and validated
mod unreadable_rows; // ● rows that can only be deleted
mod customers; // ●
mod quotas; // ● how much it may have, and has
mod customer_names; // ● … beside what is theirs
mod endpoint_auth; // ○ how an endpoint wants us to say who we are
mod endpoint_tls; // ○ its certificates and keys
pub mod endpoint_body; // ○ parsed and validated
mod endpoints; // ●
mod endpoint_query; // ○ a list: part of a name, state, order
mod endpoint_commands; // ● enable, disable, pause, resume, rotate
pub mod endpoint_test; // ● one synthetic event, right now
mod test_limit; // ○ … and how often
pub mod subscription_body; // ○ parsed and validated
mod subscriptions; // ●
mod bulk; // ○ many of a kind in one body
mod bulk_body; // ● … which is large
mod bulk_customers; // ● many in one call
mod bulk_endpoints; // ●
mod bulk_subscriptions; // ●
pub mod routing_snapshot; // ● what events are matched against
mod match_explain; // ○ why an endpoint gets an event, or why not
mod matches; // ● who gets this event?
mod dead_letter_long_poll; // ● who waits for a dead letter
mod dead_letter_page; // ○ a page of letters, and from where to go on
mod dead_letter_redrive; // ● letters again, and how that goes
mod dead_letter_query; // ○ which dead letters are meant
mod dead_letter_view; // ○ a letter as JSON
mod dead_letters; // ●
mod conceal; // ○ what customers are not told of failures
mod attempts; // ● how an endpoint answered
mod counts; // ● … and how often, by the minute
mod backlog; // ● what waits
mod replay_body; // ○ parsed and validated
mod replays; // ● replays
pub mod actors; // ● the health of every actor
mod overview; // ● all instances at one glance
mod endpoint_health; // ● how endpoints are
mod peer; // ● what instances tell each other
pub mod health; // ● livez, readyz, metrics
pub mod routes; // ● every operation, and who may call it
pub mod openapi; // ○ the API, described
pub mod openapi_routes; // ● … and served
pub mod listener; // ● connections, bounded
pub mod server; // ● what is served where

pub use server::{AdminOptions, Server, start};
